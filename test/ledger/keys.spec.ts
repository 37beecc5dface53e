import { chmod, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fingerprint, Keys, unseal } from '../../src/ledger/keys.system.js';
import { newMasterKey, openMasterKeys, readKeys, replaceKeys } from '../../src/ledger/master-key.system.js';
import { scratchDirectory } from '../support/place.js';

const [old, young] = [newMasterKey(), newMasterKey()];
const text = Buffer.from('["AAECAwQFBgcICQoLDA0ODw","parameters",{"text":"secret"}]');

/** A data key as it stands in the table. */
const stored = (keys: Keys) => {
  const key = keys.create()!;
  return { key, row: { key_id: key.id, master: key.fresh!.master, wrapped: key.fresh!.wrapped } };
};

describe('the keys of the payload', () => {
  it('seal so that nothing of the text is seen, and the same text twice looks different', () => {
    const { key } = stored(new Keys([old]));
    const [once, again] = [key.seal('parameters', text), key.seal('parameters', text)];
    expect(once.includes('secret')).toBe(false);
    expect(once.equals(again)).toBe(false);
    expect(once).toHaveLength(text.length + 28);
  });

  it('open under another process with the same master key, and under none other', () => {
    const { key, row } = stored(new Keys([old]));
    const sealed = key.seal('parameters', text);
    const opened = new Keys([old]).open(row);
    expect(unseal(opened as Buffer, 'parameters', sealed)).toEqual(text);
    expect(new Keys([young]).open(row)).toBe('master key not held');
    expect(new Keys([young]).open({ ...row, master: fingerprint(young) })).toBe('damaged');
    expect(Keys.none.open(row)).toBe('master key not held');
    expect(new Keys([old]).open({ ...row, wrapped: null })).toBe('key destroyed');
  });

  it('open nothing of which a single bit was changed, nor under another name or id', () => {
    const { key, row } = stored(new Keys([old]));
    const sealed = key.seal('parameters', text);
    const opened = new Keys([old]).open(row) as Buffer;
    for (let bit = 0; bit < sealed.length * 8; bit++) {
      const flipped = Buffer.from(sealed);
      flipped[bit >> 3]! ^= 1 << (bit & 7);
      expect([bit, unseal(opened, 'parameters', flipped)]).toEqual([bit, null]);
    }
    for (let length = 0; length < sealed.length; length++) expect(unseal(opened, 'parameters', sealed.subarray(0, length))).toBeNull();
    expect(unseal(opened, 'result', sealed)).toBeNull();
    expect(new Keys([old]).open({ ...row, key_id: stored(new Keys([old])).row.key_id })).toBe('damaged');
  });

  it('are wrapped anew by the first master key, and the old one is not needed any more', () => {
    const { key, row } = stored(new Keys([old]));
    const fresh = new Keys([young, old]).rewrap(row) as { master: string; wrapped: Buffer };
    expect(fresh.master).toBe(fingerprint(young));
    const opened = new Keys([young]).open({ ...row, ...fresh }) as Buffer;
    expect(unseal(opened, 'parameters', key.seal('parameters', text))).toEqual(text);
  });

  it('are not made where nothing is sealed', () => {
    expect(Keys.none.create()).toBeUndefined();
  });
});

describe('the master key', () => {
  const settings = async () => ({ DATA_DIR: join(await scratchDirectory(), 'ledger') });

  it('is made once, in a file beside the ledger that nobody else can read, and found there again', async () => {
    const own = await settings();
    const made = await openMasterKeys(own, { make: true });
    expect(made).toMatchObject({ from: `${own.DATA_DIR}.key`, file: `${own.DATA_DIR}.key`, unmake: expect.any(Function) });
    expect((await stat(made.file!)).mode & 0o777).toBe(0o600);
    const again = await openMasterKeys(own, { make: true });
    expect(again.unmake).toBeUndefined();
    expect(again.keys.held).toEqual(made.keys.held);
  });

  it('is one and the same for processes that start at the same time', async () => {
    const own = await settings();
    const all = await Promise.all(Array.from({ length: 8 }, () => openMasterKeys(own, { make: true })));
    expect(new Set(all.map(({ keys }) => keys.held.join()))).toEqual(new Set([all[0]!.keys.held.join()]));
    expect(all.filter(({ unmake }) => unmake)).toHaveLength(1);
  });

  it('is not made by who only looks', async () => {
    const own = await settings();
    expect((await openMasterKeys(own, { make: false })).keys.held).toEqual([]);
    await expect(stat(`${own.DATA_DIR}.key`)).rejects.toThrow('ENOENT');
  });

  it('is taken from MASTER_KEY in hex or base64, the first one wrapping; off: none', async () => {
    const own = await settings();
    const given = await openMasterKeys({ ...own, MASTER_KEY: `${young.toString('hex')},${old.toString('base64')}` }, { make: true });
    expect(given).toMatchObject({ from: 'MASTER_KEY', keys: { held: [fingerprint(young), fingerprint(old)] } });
    expect((await openMasterKeys({ ...own, MASTER_KEY: 'off' }, { make: true })).keys.held).toEqual([]);
  });

  it.each(['', 'not a key\n', '# only words\n', `${old.toString('base64').slice(4)}\n`])(
    'is refused as a file that holds %j',
    async (content) => {
      const file = join(await scratchDirectory(), 'master.key');
      await writeFile(file, content, { mode: 0o600 });
      const opening = openMasterKeys({ DATA_DIR: 'unused', MASTER_KEY_FILE: file }, { make: true });
      await expect(opening).rejects.toMatchObject({ code: 'bad_configuration', message: expect.stringContaining(file) });
    },
  );

  it('is refused in a file that everybody may read', async () => {
    const file = join(await scratchDirectory(), 'master.key');
    await replaceKeys(file, [old]);
    await chmod(file, 0o640);
    expect(await readKeys(file)).toEqual([old]);
    await chmod(file, 0o644);
    await expect(readKeys(file)).rejects.toMatchObject({
      code: 'bad_configuration',
      message: expect.stringContaining(`chmod 600 ${file}`),
    });
  });

  it('is replaced as a whole, comments staying', async () => {
    const file = join(await scratchDirectory(), 'master.key');
    await replaceKeys(file, [old]);
    await replaceKeys(file, [young, old]);
    expect(await readKeys(file)).toEqual([young, old]);
    expect((await stat(file)).mode & 0o777).toBe(0o600);
  });
});
