import { chmod, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import request from 'supertest';
import { signCheckpoint } from '../../src/ledger/checkpoint.js';
import { formatSignerKey, signerKey } from '../../src/ledger/note.js';
import { settled, start, until } from '../support/orchestrator.js';
import { anyPlace, type Place, scratchDirectory } from '../support/place.js';
import { expectSound } from '../support/sound.js';

const OLD = signerKey('example.com/agents', Buffer.alloc(32, 1));
const NEXT = signerKey('example.com/agents/2', Buffer.alloc(32, 2));

/** Keys, and what is outside of a log that had a thousand events. */
async function outside() {
  const directory = await scratchDirectory();
  const [keys, kept] = [join(directory, 'log.key'), join(directory, 'kept', 'example.com%2Fagents')];
  await writeFile(keys, `${formatSignerKey(OLD)}\n`, { mode: 0o600 });
  await mkdir(kept, { recursive: true });
  const note = signCheckpoint(OLD.name, { size: 1000n, root: Buffer.alloc(32, 5) }, [OLD]);
  await writeFile(join(kept, '00000000000000001000.checkpoint'), note);
  return { keys, settings: { LOG_KEY_FILE: keys, CHECKPOINT_DIR: join(directory, 'kept'), CHECKPOINT_INTERVAL_MS: '50' } };
}

describe('an orchestrator whose database was set back', () => {
  let place: Place;
  beforeAll(async () => {
    place = await anyPlace();
  });
  afterAll(() => place.drop());

  /** Works, then looks at the log until it is as expected. */
  async function work(settings: Record<string, string>, until_: (log: { refused: string | null; size: number }) => boolean) {
    const server = await start(place, settings);
    try {
      const body = { session_id: 'first', capability: 'echo', parameters: { text: 'Hello' } };
      expect((await request(server.url).post('/v1/orchestrate').send(body)).status).toBe(200);
      let log: { refused: string | null; size: number; logs: unknown[] } | undefined;
      await until('the log is as expected', async () => {
        log = (await request(server.url).get('/v1/log')).body as typeof log;
        return until_(log!);
      });
      await settled(server.ledger.db);
      await expectSound(server.ledger.db);
      return log!;
    } finally {
      await server.close();
    }
  }

  it('goes on working, signs nothing, says how to recover, and does so', async () => {
    const { keys, settings } = await outside();
    const refused = await work(settings, (log) => log.refused !== null);
    expect(refused).toMatchObject({
      size: 0,
      refused: expect.stringMatching(/01000.checkpoint says .* 1000 events, .* start with LOG_ORIGIN=example.com\/agents\/2/),
    });
    await writeFile(keys, `${formatSignerKey(NEXT)}\n${formatSignerKey(OLD)}\n`, { mode: 0o600 });
    const recovered = await work({ ...settings, LOG_ORIGIN: NEXT.name }, (log) => log.size > 0);
    expect(recovered).toMatchObject({
      origin: NEXT.name,
      refused: null,
      logs: [
        { origin: OLD.name, first_idx: 0, size: 0 },
        { origin: NEXT.name, first_idx: expect.any(Number) },
      ],
    });
  });

  it('does not start with keys that it cannot use', async () => {
    const { keys, settings } = await outside();
    await chmod(keys, 0o644);
    await expect(start(place, settings)).rejects.toMatchObject({
      code: 'bad_configuration',
      message: expect.stringContaining(`chmod 600 ${keys}`),
    });
    await writeFile(keys, `${formatSignerKey(OLD)}x\n`);
    await chmod(keys, 0o600);
    const refusal = await start(place, settings).catch((error: Error) => error.message);
    expect(refusal).toMatch(/line 1: this is no Ed25519 signer key/);
    expect(refusal).not.toContain(formatSignerKey(OLD).slice(-20));
    await expect(start(place, { LOG_KEY_FILE: `${keys}.none` })).rejects.toMatchObject({
      message: expect.stringMatching(/there is no key .* log keygen --origin example.com\/log --file/),
    });
    await expect(start(place, { LOG_ORIGIN: 'example.com/other' })).rejects.toMatchObject({
      message: expect.stringMatching(/--origin example.com\/other/),
    });
  });
});
