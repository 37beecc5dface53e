import { newId, newSalt, now } from '../../src/kernel/ids.system.js';

describe('ids, salts and times', () => {
  it('ids are ULIDs that sort in the order they were made', () => {
    const ids = Array.from({ length: 20_000 }, newId);
    expect(ids.every((id) => /^[0-7][0-9A-HJKMNP-TV-Z]{25}$/.test(id))).toBe(true);
    expect([...ids].sort()).toEqual(ids);
    expect(new Set(ids).size).toBe(ids.length);
  });

  it('salts have 128 bits, all of them different', () => {
    const salts = Array.from({ length: 20_000 }, newSalt);
    expect(salts.every((salt) => Buffer.from(salt, 'base64url').length === 16)).toBe(true);
    expect(new Set(salts).size).toBe(salts.length);
    // No bit stands still: with 20 000 salts the chance of that is 2^-20000.
    const [or, and] = salts.reduce(
      ([o, a], salt) => {
        const n = BigInt(`0x${Buffer.from(salt, 'base64url').toString('hex')}`);
        return [o | n, a & n] as [bigint, bigint];
      },
      [0n, 2n ** 128n - 1n] as [bigint, bigint],
    );
    expect([or, and]).toEqual([2n ** 128n - 1n, 0n]);
  });

  it('times are ISO in milliseconds', () => {
    expect(now()).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
  });
});
