/**
 * Brings the schema up to date: every migrations/NNNN-name.sql not yet applied, in order, all in one transaction. The advisory lock is
 * the transaction's, so replicas that start at once take turns (also behind a pooler) and the second finds nothing left to do. A file
 * that changed after it landed stops the start: two deployments would otherwise mean different things by one name.
 */
import { createHash } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { OrchestratorError } from '../kernel/errors.js';
import type { Database } from './database.postgres.js';

const LOCK = 7_214_190_883_001;
const NAME = /^\d{4}-[a-z0-9-]+\.sql$/;

export async function migrate(db: Database, directory: string): Promise<string[]> {
  const files = await migrationsIn(directory);
  return db.transaction(async (tx) => {
    await tx.query(`SET LOCAL lock_timeout = '120s'`);
    await tx.query('SELECT pg_advisory_xact_lock($1)', [LOCK]);
    await tx.query(
      `CREATE TABLE IF NOT EXISTS migration (name text PRIMARY KEY, sha256 text NOT NULL, applied_at timestamptz NOT NULL DEFAULT clock_timestamp())`,
    );
    const landed = new Map(
      (await tx.query<{ name: string; sha256: string }>('SELECT name, sha256 FROM migration')).map((m) => [m.name, m.sha256]),
    );
    const unknown = [...landed.keys()].filter((name) => !files.some((f) => f.name === name));
    if (unknown.length > 0) {
      throw failed(
        unknown[0]!,
        'has been applied to this database but is not known to this version; start the newer version, or restore a backup',
      );
    }
    const applied: string[] = [];
    for (const { name, sql, sha256 } of files) {
      const before = landed.get(name);
      if (before === sha256) continue;
      if (before !== undefined)
        throw failed(name, 'was edited after it had been applied; restore the file and put the change into a new one');
      try {
        await tx.query(sql);
      } catch (error) {
        throw failed(name, `failed, nothing was changed: ${(error as Error).message}`, error);
      }
      await tx.query('INSERT INTO migration (name, sha256) VALUES ($1, $2)', [name, sha256]);
      applied.push(name);
    }
    return applied;
  });
}

async function migrationsIn(directory: string): Promise<{ name: string; sql: string; sha256: string }[]> {
  const names = (await readdir(directory)).filter((name) => name.endsWith('.sql')).sort();
  const odd = names.find((name) => !NAME.test(name));
  if (odd) throw failed(odd, 'is not named NNNN-name.sql');
  return Promise.all(
    names.map(async (name) => {
      const sql = await readFile(join(directory, name), 'utf8');
      return { name, sql, sha256: createHash('sha256').update(sql).digest('hex') };
    }),
  );
}

const failed = (name: string, why: string, cause?: unknown) =>
  new OrchestratorError('migration_failed', `migration ${name} ${why}`, { cause });
