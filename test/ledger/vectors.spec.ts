/** docs/ledger.md is the definition; this is the program held against it. */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { ERROR_CODES } from '../../src/contracts/contract.js';
import { isCanonical } from '../../src/kernel/canonical.js';
import type { JsonValue } from '../../src/kernel/json.js';
import { disclose, disclosureDigest, type Members, recordHash, stamp } from '../../src/ledger/record.js';

const page = readFileSync(join(__dirname, '../../docs/ledger.md'), 'utf8');
const prose = page.replaceAll(/ +/g, ' ');
const blocks = [...page.matchAll(/```(disclosure|digest|record|hash)\n(.*?)\n```/gs)].map(([, kind, text]) => ({
  kind: kind!,
  text: text!,
}));
const pairs = (first: string, second: string) =>
  blocks.flatMap((b, i) => (b.kind === first && blocks[i + 1]?.kind === second ? [[b.text, blocks[i + 1]!.text] as const] : []));
const disclosures = pairs('disclosure', 'digest');
const records = pairs('record', 'hash');

describe('docs/ledger.md', () => {
  it('has worked vectors', () => {
    expect([disclosures.length, records.length]).toEqual([3, 3]);
  });

  it.each(disclosures)('defines the digest of disclosure %s', (text, digest) => {
    const [salt, name, value] = JSON.parse(text) as [string, string, JsonValue];
    const made = disclose(salt, name, value);
    expect([made.bytes.toString('utf8'), made.digest]).toEqual([text, digest]);
    expect(createHash('sha256').update(Buffer.from(text).toString('base64url')).digest('base64url')).toBe(digest);
  });

  it.each(records)('defines the bytes and hash of record %s', (text, hash) => {
    const { v: _v, id, stream, seq, prev, type, time, _sd_alg, _sd, last_seq: _seq, last_head: _head, ...members } = JSON.parse(text);
    const used = disclosures
      .filter(([, digest]) => (_sd ?? []).includes(digest))
      .map(([json]) => JSON.parse(json) as [string, string, JsonValue]);
    const draft = {
      id,
      type,
      time,
      members: members as Members,
      disclosures: used.map(([salt, name, value]) => disclose(salt, name, value)),
    };
    const stamped = stamp(draft, { stream, seq, prev: prev === null ? null : Buffer.from(prev, 'hex') });
    expect([stamped.bytes.toString('utf8'), stamped.hash.toString('hex')]).toEqual([text, hash]);
    expect(
      createHash('sha256')
        .update(Buffer.concat([Buffer.from([0]), Buffer.from(text)]))
        .digest('hex'),
    ).toBe(hash);
    expect(recordHash(Buffer.from(text)).toString('hex')).toBe(hash);
    expect(isCanonical(text)).toBe(true);
  });

  it('chains its records', () => {
    expect(records.slice(1).map(([text]) => (JSON.parse(text) as { prev: string }).prev)).toEqual(
      records.slice(0, -1).map(([, hash]) => hash),
    );
  });

  it('lists every error code with its meaning', () => {
    for (const [code, meaning] of Object.entries(ERROR_CODES)) expect(prose).toContain(`| \`${code}\` | ${meaning} |`);
  });
});

describe('the published examples of RFC 9901', () => {
  it.each([
    // 4.2.3: the digest of an object property and of an array element; 5.1: of the claims of the first example.
    ['WyJfMjZiYzRMVC1hYzZxMktJNmNCVzVlcyIsICJmYW1pbHlfbmFtZSIsICJNw7ZiaXVzIl0', 'X9yH0Ajrdm1Oij4tWso9UzzKJvPoDxwmuEcO3XAdRC0'],
    ['WyJsa2x4RjVqTVlsR1RQVW92TU5JdkNBIiwgIkZSIl0', 'w0I8EKcdCtUPkGCNUrfwVp2xEgNjtoIDlOxc9-PlOhs'],
    ['WyIyR0xDNDJzS1F2ZUNmR2ZyeU5STjl3IiwgImdpdmVuX25hbWUiLCAiSm9obiJd', 'jsu9yVulwQQlhFlM_3JlzMaSFzglhQG0DpfayQwLUK4'],
  ])('%s has the digest %s', (disclosure, digest) => {
    expect(disclosureDigest(Buffer.from(disclosure, 'base64url'))).toBe(digest);
  });

  it('of the ways 4.2.1 gives to write one disclosure, ours is the one without spaces', () => {
    const ours = disclose('_26bc4LT-ac6q2KI6cBW5es', 'family_name', 'Möbius').bytes.toString('base64url');
    expect(ours).toBe('WyJfMjZiYzRMVC1hYzZxMktJNmNCVzVlcyIsImZhbWlseV9uYW1lIiwiTcO2Yml1cyJd');
  });
});
