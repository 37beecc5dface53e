import { createHash } from 'node:crypto';
import fc from 'fast-check';
import {
  formatNote,
  formatSignature,
  formatSignerKey,
  formatVerifierKey,
  parseNote,
  parseSignature,
  parseSignerKey,
  parseVerifierKey,
  signerKey,
  signersOf,
  signText,
  verifierOf,
} from '../../src/ledger/note.js';

/** From the tests of Go's golang.org/x/mod/sumdb/note, from which the format comes. */
const PETER = 'PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW';
const PETER_SIGNER = 'PRIVATE+KEY+PeterNeumann+c74f20a3+AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz';
const ENOCH = 'EnochRoot+af0cfe78+ATtqJ7zOtqQtYqOo0CpvDXNlMhV3HeJDpjrASKGLWdop';
const TEXT = "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n";
const PETER_SIGNED = '— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n';
const ENOCH_SIGNED = '— EnochRoot rwz+eBzmZa0SO3NbfRGzPCpDckykFXSdeX+MNtCOXm2/5n2tiOHp+vAF1aGrQ5ovTG01oOTGwnWLox33WWd1RvMc+QQ=\n';
/** The example of the specification: text with an empty line in it. */
const SALVATORE =
  'Ognuno sta solo sul cuor della terra\ntrafitto da un raggio di sole:\n\ned è subito sera.\n\n' +
  '— quasimodo.example/salvatore NnugSzTjtVAewIS+Z/iJhUPeFDkO/5QQ2i5ddnGITLlC+EhfLW9oJKONrMouFSQU0xMcXxj99ihAQwaqP3ZekRwNtIc=\n';

const peter = parseVerifierKey(PETER);
const enoch = parseVerifierKey(ENOCH);
const named = (note: string, ...keys: (typeof peter)[]) => signersOf(parseNote(note), keys).map(({ name }) => name);

describe('the text of a verifier key', () => {
  it('is read and written as Go does', () => {
    expect(peter).toMatchObject({ name: 'PeterNeumann', id: 'c74f20a3', kind: 'signature' });
    expect(formatVerifierKey(peter)).toBe(PETER);
    expect(formatVerifierKey(verifierOf(parseSignerKey(PETER_SIGNER)))).toBe(PETER);
  });

  it('is refused when any part of it is missing or changed', () => {
    const mangled: string[] = [];
    for (let i = 0; i <= PETER.length; i++)
      for (let j = i + 1; j <= PETER.length; j++) if (j - i < PETER.length) mangled.push(PETER.slice(i, j));
    for (let i = 0; i < PETER.length; i++)
      mangled.push(PETER.slice(0, i) + String.fromCharCode(PETER.charCodeAt(i) + 1) + PETER.slice(i + 1));
    mangled.push('PeterNeumann+cc469956+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TWBADKEY=='); // too long, with the id adjusted
    mangled.push('PeterNeumann+173116ae+ZRpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW'); // of an unknown kind, with the id adjusted
    expect(mangled.length).toBeGreaterThan(2000);
    for (const text of mangled) expect(() => parseVerifierKey(text)).toThrow('this is no verifier key');
  });
});

describe('the text of a signer key', () => {
  it('is read and written as Go does', () => {
    expect(formatSignerKey(parseSignerKey(PETER_SIGNER))).toBe(PETER_SIGNER);
  });

  it('is refused when any part of it is missing or changed, and is not repeated in the refusal', () => {
    for (let i = 0; i < PETER_SIGNER.length; i++) {
      const mangled = [PETER_SIGNER.slice(0, i), PETER_SIGNER.slice(i + 1)];
      mangled.push(PETER_SIGNER.slice(0, i) + String.fromCharCode(PETER_SIGNER.charCodeAt(i) + 1) + PETER_SIGNER.slice(i + 1));
      for (const text of mangled)
        expect(() => parseSignerKey(text)).toThrow(/^this is no (Ed25519 )?signer key(: its id does not fit it)?$/);
    }
  });

  it('cannot be made under a name that a note could not hold', () => {
    for (const name of ['', 'a b', 'a+b', 'a\u00a0b', 'a\u2003b', 'a\nb', 'a\u0085b', '\ud800']) {
      expect(() => signerKey(name, Buffer.alloc(32))).toThrow('cannot name a key');
    }
    expect(signerKey('日本.example/ログ', Buffer.alloc(32)).name).toBe('日本.example/ログ');
  });
});

describe('a signed note', () => {
  it('is signed as Go signs it', () => {
    expect(formatNote({ text: TEXT, signatures: [signText(TEXT, parseSignerKey(PETER_SIGNER))] })).toBe(`${TEXT}\n${PETER_SIGNED}`);
  });

  it('is opened by the keys that are known, and the others are passed over', () => {
    const both = `${TEXT}\n${PETER_SIGNED}${ENOCH_SIGNED}`;
    expect([named(both, peter), named(both, enoch), named(both, peter, enoch), named(both)]).toEqual([
      ['PeterNeumann'],
      ['EnochRoot'],
      ['PeterNeumann', 'EnochRoot'],
      [],
    ]);
    expect(named(`${TEXT}\n${PETER_SIGNED}${PETER_SIGNED}`, peter)).toEqual(['PeterNeumann']);
  });

  it('is text to the last empty line', () => {
    const { text, signatures } = parseNote(SALVATORE);
    expect(text).toBe('Ognuno sta solo sul cuor della terra\ntrafitto da un raggio di sole:\n\ned è subito sera.\n');
    expect(signatures).toMatchObject([{ name: 'quasimodo.example/salvatore', id: '367ba04b' }]);
    expect(formatNote({ text, signatures })).toBe(SALVATORE);
    expect(parseNote(Buffer.from(SALVATORE))).toEqual({ text, signatures });
  });

  it('is spoilt by a bad signature of a known key, even beside a good one', () => {
    const bad = `${PETER_SIGNED.slice(0, 60)}ABCD${PETER_SIGNED.slice(60)}`;
    for (const note of [`${TEXT}\n${bad}`, `${TEXT}\n${PETER_SIGNED}${bad}`, `${TEXT.replace('If', 'if')}\n${PETER_SIGNED}`]) {
      expect(() => named(note, peter)).toThrow('the signature of PeterNeumann+c74f20a3 is not good');
      expect(named(note, enoch)).toEqual([]);
    }
  });

  it.each([
    ['without signatures', TEXT],
    ['with none below the empty line', `${TEXT}\n`],
    ['cut off', `${TEXT}\n${PETER_SIGNED.slice(0, -1)}`],
    ['with a control character', `\u0001${TEXT}\n${PETER_SIGNED}`],
    ['with a carriage return', `${TEXT}\n${PETER_SIGNED.replace('\n', '\r\n')}`],
    ['with half a surrogate pair', `\ud800${TEXT}\n${PETER_SIGNED}`],
    ['with a name that has a space', `${TEXT}\n${PETER_SIGNED.replace('PeterNeumann', 'Bad Name')}`],
    ['with a name that has a plus', `${TEXT}\n${PETER_SIGNED.replace('PeterNeumann', 'Bad+Name')}`],
    ['with another line among the signatures', `${TEXT}\n${PETER_SIGNED}Unexpected line.\n`],
    ['with a hyphen for the dash', `${TEXT}\n${PETER_SIGNED.replace('—', '-')}`],
    ['with base64 without padding', `${TEXT}\n${PETER_SIGNED.replace('AM=', 'AM')}`],
    ['with base64 for URLs', `${TEXT}\n${PETER_SIGNED.replace('/', '_')}`],
    ['with an id and no signature', `${TEXT}\n— PeterNeumann x08gow==\n`],
    ['with 101 signatures', `${TEXT}\n${PETER_SIGNED.repeat(101)}`],
    ['of more than a megabyte', `${'x'.repeat(1024 * 1024)}\n\n${PETER_SIGNED}`],
  ])('%s is refused', (_what, note) => {
    expect(() => parseNote(note)).toThrow('this is no signed note');
  });

  it('in bytes that are not UTF-8 is refused', () => {
    expect(() => parseNote(Buffer.concat([Buffer.of(0xff), Buffer.from(`${TEXT}\n${PETER_SIGNED}`)]))).toThrow('it is not UTF-8');
  });

  it('may have 16 signatures and more', () => {
    const signers = Array.from({ length: 100 }, (_, i) => signerKey(`witness-${i}.example`, Buffer.alloc(32, i)));
    const note = formatNote({ text: TEXT, signatures: signers.map((signer) => signText(TEXT, signer)) });
    expect(signersOf(parseNote(note), signers.map(verifierOf))).toHaveLength(100);
  });

  it('is refused with any bit of text, id or signature flipped', () => {
    const note = Buffer.from(`${TEXT}\n${PETER_SIGNED}`);
    for (let bit = 0; bit < note.length * 8; bit++) {
      const copy = Buffer.from(note);
      copy[bit >> 3]! ^= 1 << (bit & 7);
      let signers: unknown[] = [];
      try {
        signers = signersOf(parseNote(copy), [peter]);
      } catch {}
      if (signers.length > 0) throw new Error(`with bit ${bit} flipped`);
    }
  });

  it('is the same after it was written and read, whatever its text', () => {
    const signer = parseSignerKey(PETER_SIGNER);
    const line = fc.string({ unit: 'grapheme' }).filter((text) => text.isWellFormed() && !/\p{Cc}/u.test(text));
    fc.assert(
      fc.property(fc.array(line, { minLength: 1, maxLength: 5 }), (lines) => {
        const text = `${lines.join('\n')}\n`;
        const note = { text, signatures: [signText(text, signer)] };
        const read = parseNote(formatNote(note));
        expect(read).toEqual(note);
        expect(signersOf(read, [peter])).toEqual([peter]);
      }),
    );
  });
});

describe('a cosignature', () => {
  /** The key of Peter as a witness would give it: the same bytes, of kind 4, under an id of their own. */
  const typed = Buffer.concat([Buffer.of(4), peter.bytes]);
  const id = createHash('sha256').update('PeterNeumann\n').update(typed).digest('hex').slice(0, 8);
  const WITNESS = `PeterNeumann+${id}+${typed.toString('base64')}`;
  const witness = parseVerifierKey(WITNESS);
  const checkpoint = 'example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n';

  function cosigned(time: bigint, text = checkpoint): string {
    const stamp = Buffer.alloc(8);
    stamp.writeBigUInt64BE(time);
    const { bytes } = signText(`cosignature/v1\ntime ${time}\n${text}`, parseSignerKey(PETER_SIGNER));
    return formatSignature({ name: witness.name, id: witness.id, bytes: Buffer.concat([stamp, bytes]) });
  }

  it('is one over the text and its time', () => {
    expect([witness.kind, formatVerifierKey(witness)]).toEqual(['cosignature', WITNESS]);
    expect(named(`${checkpoint}\n${cosigned(1679315147n)}`, witness)).toEqual(['PeterNeumann']);
    expect(named(`${checkpoint}\n${cosigned(1679315147n)}`, peter)).toEqual([]); // another key, though the same bytes
  });

  it('is bad with another time, another text, or without a time', () => {
    const good = parseSignature(cosigned(1679315147n).trimEnd());
    const later = Buffer.from(good.bytes);
    later.writeBigUInt64BE(1679315148n);
    for (const bytes of [later, good.bytes.subarray(8), good.bytes.subarray(0, 64)]) {
      expect(() => named(`${checkpoint}\n${formatSignature({ ...good, bytes })}`, witness)).toThrow('is not good');
    }
    expect(() => named(`${checkpoint.replace('63', '64')}\n${cosigned(1679315147n)}`, witness)).toThrow('is not good');
  });

  it('of the specification’s example is read', () => {
    const line =
      '— witness.example.com/w1 jWbPPwAAAABkGFDLEZMHwSRaJNiIDoe9DYn/zXcrtPHeolMI5OWXEhZCB9dlrDJsX3b2oyin1nPZqhf5nNo0xUe+mbIUBkBIfZ+qnA==';
    const { name, id, bytes } = parseSignature(line);
    expect([name, id, bytes.length, bytes.readBigUInt64BE(0)]).toEqual(['witness.example.com/w1', '8d66cf3f', 72, 1679315147n]);
  });
});
