import { readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { readKeys } from '../../src/ledger/master-key.system.js';
import { server as databaseServer } from '../support/databases.js';
import { WHY } from '../support/erasing.js';
import { running, start } from '../support/orchestrator.js';
import { anyPlace, inspect, scratchDirectory } from '../support/place.js';
import { runCommand } from '../support/process.js';

jest.setTimeout(120_000);

/** The embedded database has one process. */
const itOnServer = databaseServer ? it : it.skip;

describe('agent-orchestrator erase and hold', () => {
  const ao = running(anyPlace);
  const run = (...args: string[]) => runCommand(args, { env: { ORCHESTRATOR_URL: ao.server.url } });
  const why = ['--basis', WHY.basis, '--requested-by', WHY.requested_by];

  it('a hold forbids what is allowed once it is released; a whole session needs --yes', async () => {
    await ao.orchestrate({ session_id: 'first', capability: 'echo', parameters: { text: 'hello' } });
    expect(await run('erase', 'first', ...why)).toMatchObject({ code: 1, stdout: '', stderr: expect.stringContaining('add --yes') });

    const placed = await run('hold', 'place', '--session', 'first', '--reason', 'case 12/26', '--requested-by', 'legal', '--json');
    const { hold_id } = JSON.parse(placed.stdout) as { hold_id: string };
    expect(placed.code).toBe(0);
    expect(await run('hold', 'list')).toMatchObject({
      code: 0,
      stdout: expect.stringMatching(`^${hold_id}  .*  first  case 12/26 \\(legal\\)\n$`),
    });
    expect(await run('erase', 'first', '--yes', ...why)).toMatchObject({ code: 3, stdout: '', stderr: expect.stringContaining(hold_id) });
    const released = await run('hold', 'release', hold_id, '--reason', 'closed', '--requested-by', 'legal');
    expect(released).toMatchObject({ code: 0, stdout: `hold ${hold_id} is released\n` });

    const erased = await run('erase', 'first', '--yes', ...why);
    expect([erased.code, erased.stderr]).toEqual([0, '']);
    expect(erased.stdout).toMatch(/^erased here {3}3 events, 1 keys destroyed, the name of the session\nout of reach {2}what agents/);
    expect(await run('erase', 'first', '--yes', ...why)).toMatchObject({ code: 5, stderr: expect.stringContaining('"first"') });
  });

  it('contracts and fields are named by options, and the answer is one JSON document', async () => {
    const { contract_id: id } = await ao.orchestrate({ session_id: 'second', capability: 'echo', parameters: { text: 'hello' } });
    const { code, stdout } = await run('erase', 'second', '--contract', id, '--field', 'parameters', 'result', ...why, '--json');
    expect([code, JSON.parse(stdout)]).toEqual([0, expect.objectContaining({ whole: false, events: 2 })]);
  });
});

describe('agent-orchestrator keys', () => {
  it('rotates the key in the file once nobody runs; the old one is of no use any more', async () => {
    const place = await anyPlace();
    const env = { ...place.settings, MASTER_KEY: '', MASTER_KEY_FILE: join(await scratchDirectory(), 'master.key') };
    const server = await start({ ...place, settings: env });
    const old = await readFile(env.MASTER_KEY_FILE, 'utf8');
    const refused = await runCommand(['keys', 'rotate'], { env });
    expect(refused).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/1 orchestrators use this ledger|is in use by another process/),
    });
    await server.close();

    const before = JSON.parse((await runCommand(['keys', 'status', '--json'], { env })).stdout) as Status;
    expect(before.masters).toEqual([{ id: expect.any(String), held: true, wraps: expect.any(Number), destroyed: 0 }]);
    const rotated = await runCommand(['keys', 'rotate', '--json'], { env });
    expect([rotated.code, JSON.parse(rotated.stdout)]).toEqual([0, { master: expect.any(String), rewrapped: before.masters[0]!.wraps }]);
    expect(await readKeys(env.MASTER_KEY_FILE)).toHaveLength(1);
    expect(await readFile(env.MASTER_KEY_FILE, 'utf8')).not.toBe(old);

    expect(await runCommand(['verify'], { env })).toMatchObject({
      code: 0,
      stdout: expect.not.stringContaining('master key that is not held'),
    });
    const [line] = old.split('\n').filter((text) => text !== '' && !text.startsWith('#'));
    const withOld = start({ ...place, settings: { ...place.settings, MASTER_KEY: line! } });
    await expect(withOld).rejects.toMatchObject({
      code: 'bad_configuration',
      message: expect.stringContaining('is sealed under the master key'),
    });
    await place.drop();
  });

  itOnServer(
    'leaves both keys in the file where a process with the old one alone began meanwhile, and ends when that is gone',
    async () => {
      const place = await anyPlace();
      const env = { ...place.settings, MASTER_KEY: '', MASTER_KEY_FILE: join(await scratchDirectory(), 'master.key') };
      const server = await start({ ...place, settings: env });
      await server.close();
      await inspect(place, (db) =>
        db.query(
          `CREATE FUNCTION begin_meanwhile() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
           INSERT INTO instance (owner, seen_at) VALUES ('meanwhile', clock_timestamp()) ON CONFLICT DO NOTHING; RETURN NULL; END $$;
         CREATE TRIGGER begin_meanwhile AFTER UPDATE ON payload_key FOR EACH STATEMENT EXECUTE FUNCTION begin_meanwhile()`,
        ),
      );
      const refused = await runCommand(['keys', 'rotate'], { env });
      expect(refused).toMatchObject({ code: 1, stderr: expect.stringContaining('1 orchestrators use this ledger') });
      expect(await readKeys(env.MASTER_KEY_FILE)).toHaveLength(2);

      await inspect(place, (db) => db.query(`DROP TRIGGER begin_meanwhile ON payload_key; DELETE FROM instance WHERE owner = 'meanwhile'`));
      expect(await runCommand(['keys', 'rotate'], { env })).toMatchObject({ code: 0 });
      expect(await readKeys(env.MASTER_KEY_FILE)).toHaveLength(1);
      await place.drop();
    },
  );

  it('keeps a key that a first start made where that start was broken off, and not one that does not fit the ledger', async () => {
    const place = await anyPlace();
    const settings = { ...place.settings, MASTER_KEY: '', MASTER_KEY_FILE: join(await scratchDirectory(), 'master.key') };
    await inspect(place, (db) => db.query('ALTER TABLE master_key RENAME TO away'));
    await expect(start({ ...place, settings })).rejects.toThrow();
    expect(await readKeys(settings.MASTER_KEY_FILE)).toHaveLength(1);

    await rm(settings.MASTER_KEY_FILE);
    await inspect(place, (db) => db.query(`ALTER TABLE away RENAME TO master_key; INSERT INTO master_key (id) VALUES ('another')`));
    await expect(start({ ...place, settings })).rejects.toMatchObject({ code: 'bad_configuration' });
    expect(await readKeys(settings.MASTER_KEY_FILE)).toEqual([]);
    await place.drop();
  });

  interface Status {
    masters: { id: string; held: boolean; wraps: number; destroyed: number }[];
  }
});
