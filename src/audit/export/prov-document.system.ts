/** A PROV-JSON document as it grows. Statements come contract by contract and are written kind by kind, so each kind waits in a file of its own. */
import { createReadStream } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { ContractPairs, type Evidence, erasedBy, membersOf, type Piece } from './evidence.js';
import {
  bundleOf,
  PROV_KINDS,
  PROV_PREFIXES,
  type ProvKind,
  type ProvStatement,
  provOfContract,
  provOfErasure,
  provOfRecord,
} from './prov.js';
import { TextFile } from './text-file.system.js';

export class ProvDocument {
  private readonly pairs = new ContractPairs();
  private readonly files = new Map<ProvKind, TextFile>();
  /** Agents and plans, which many contracts share. */
  private readonly shared = new Set<string>();
  private bundle: string | null = null;

  private constructor(private readonly directory: string) {}

  /** Waits in a directory of its own below `parent` until it is closed. */
  static async in(parent: string): Promise<ProvDocument> {
    return new ProvDocument(await mkdtemp(join(parent, 'prov-')));
  }

  async take(piece: Evidence): Promise<void> {
    if (piece.kind === 'opening') this.bundle = bundleOf(piece.scope);
    if (piece.kind === 'event') for (const statement of this.statementsOf(piece)) await this.add(statement);
  }

  private statementsOf({ record, idx, context }: Piece<'event'>): ProvStatement[] {
    const members = membersOf(record);
    if (members.type === 'payload.erased') return provOfErasure(members, erasedBy(Buffer.from(record, 'utf8')));
    if (context) return [];
    const contract = this.pairs.take(members);
    return [provOfRecord(record, members, idx), ...(contract ? provOfContract(contract) : [])];
  }

  private async add({ kind, id, is }: ProvStatement): Promise<void> {
    if (this.shared.has(id)) return;
    if (kind === 'agent' || id.startsWith('ao:description-')) this.shared.add(id);
    const file = this.files.get(kind);
    const text = `${JSON.stringify(id)}:${JSON.stringify(is)}`;
    if (file) return file.write(`,\n${text}`);
    const first = new TextFile(join(this.directory, kind));
    this.files.set(kind, first);
    await first.write(text);
  }

  /** The whole document, piece by piece. Whoever is done with it, or gives up, calls `discard`. */
  async *text(): AsyncGenerator<string> {
    for (const contract of this.pairs.rest()) for (const statement of provOfContract(contract)) await this.add(statement);
    for (const file of this.files.values()) await file.close();
    yield `{"prefix":${JSON.stringify(PROV_PREFIXES)}`;
    if (this.bundle === null) yield* this.kinds(',');
    else {
      const id = JSON.stringify(this.bundle);
      yield `,"entity":{${id}:{"prov:type":{"$":"prov:Bundle","type":"prov:QUALIFIED_NAME"}}},\n"bundle":{${id}:{`;
      yield* this.kinds('');
      yield '}}';
    }
    yield '}\n';
  }

  private async *kinds(before: string): AsyncGenerator<string> {
    let comma = before;
    for (const kind of PROV_KINDS) {
      const file = this.files.get(kind);
      if (!file) continue;
      yield `${comma}\n${JSON.stringify(kind)}:{\n`;
      for await (const chunk of createReadStream(file.path, 'utf8')) yield chunk as string;
      yield '}';
      comma = ',';
    }
  }

  async discard(): Promise<void> {
    await rm(this.directory, { recursive: true, force: true });
  }
}

/** The export as a PROV-JSON document. `scratch`: a directory to work in. */
export async function* provJson(evidence: AsyncIterable<Evidence>, scratch: string): AsyncGenerator<string> {
  const document = await ProvDocument.in(scratch);
  try {
    for await (const piece of evidence) await document.take(piece);
    yield* document.text();
  } finally {
    await document.discard();
  }
}
