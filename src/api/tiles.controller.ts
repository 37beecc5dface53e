/**
 * The log as static C2SP tlog-tiles, for everybody's own tools: hashes alone, so anybody may read them. The records themselves are of all tenants and
 * stand below tile/entries only as LOG_ENTRIES says.
 */
import { Controller, Get, Header, Param, Res, type Type } from '@nestjs/common';
import { ApiExcludeController } from '@nestjs/swagger';
import type { FastifyReply } from 'fastify';
import { OrchestratorError } from '../kernel/errors.js';
import type { CheckpointSettings } from '../ledger/checkpoint.settings.js';
import { Database, type Tx } from '../ledger/database.postgres.js';
import { mustBePublished, signedNote } from '../ledger/proofs.postgres.js';
import { recordsAt } from '../ledger/read.postgres.js';
import { parseTilePath, TILE_WIDTH, type Tile, tileOfTree } from '../ledger/tiles.js';
import { readTiles } from '../ledger/tree.postgres.js';
import { Needs, OpenToAll } from './auth.guard.js';

const YEAR_SECONDS = 31_536_000;

@Controller('log')
@OpenToAll()
@ApiExcludeController()
export class TilesController {
  constructor(private readonly db: Database) {}

  @Get('checkpoint')
  @Header('content-type', 'text/plain; charset=utf-8')
  @Header('cache-control', 'no-cache')
  async checkpoint(): Promise<string> {
    return signedNote(await mustBePublished(this.db));
  }

  @Get('tile/*')
  async tile(@Param('*') path: string, @Res({ passthrough: true }) reply: FastifyReply): Promise<Buffer> {
    const [hashes] = await readTiles(this.db, [await published(this.db, path, 'tree')]);
    return forEver('public', hashes!, reply);
  }
}

@Controller('log/tile/entries')
@ApiExcludeController()
class OperatorsEntries {
  constructor(private readonly db: Database) {}

  @Get('*')
  @Needs('audit')
  async entries(@Param('*') path: string, @Res({ passthrough: true }) reply: FastifyReply): Promise<Buffer> {
    return forEver('private', await bundle(this.db, path), reply);
  }
}

@Controller('log/tile/entries')
@OpenToAll()
@ApiExcludeController()
class PublicEntries {
  constructor(private readonly db: Database) {}

  @Get('*')
  async entries(@Param('*') path: string, @Res({ passthrough: true }) reply: FastifyReply): Promise<Buffer> {
    return forEver('public', await bundle(this.db, path), reply);
  }
}

export function entriesControllers({ LOG_ENTRIES }: Pick<CheckpointSettings, 'LOG_ENTRIES'>): Type[] {
  return { off: [], operator: [OperatorsEntries], public: [PublicEntries] }[LOG_ENTRIES];
}

/** What is under a path never changes, a wider tile has another one. Only what is there: that something is missing changes soon. */
function forEver(whose: 'public' | 'private', bytes: Buffer, reply: FastifyReply): Buffer {
  void reply.type('application/octet-stream').header('cache-control', `${whose}, max-age=${YEAR_SECONDS}, immutable`);
  return bytes;
}

/** Records, each after its length in two bytes. */
async function bundle(db: Tx, path: string): Promise<Buffer> {
  const { index, width } = await published(db, `entries/${path}`, 'entries');
  const first = Number(index) * TILE_WIDTH;
  const records = await recordsAt(db, first, first + width);
  return Buffer.concat(
    records.flatMap((record) => {
      const length = Buffer.alloc(2);
      length.writeUInt16BE(record.length);
      return [length, record];
    }),
  );
}

/** A tile that the published tree has: whole, or a beginning of what it has of it. */
async function published(db: Tx, path: string, kind: 'tree' | 'entries'): Promise<Tile> {
  const tile = parseTilePath(path);
  if (tile?.kind !== kind) throw new OrchestratorError('not_found', 'there is no such tile');
  const { size } = await mustBePublished(db);
  const { width } = tileOfTree(tile, BigInt(size));
  if (tile.width > width)
    throw new OrchestratorError('not_found', `the published tree of ${size} events has ${width} entries in this tile`);
  return tile;
}
