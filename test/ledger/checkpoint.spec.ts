import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  checkpointText,
  openCheckpoint,
  parseCheckpointText,
  parseSize,
  readCheckpoint,
  signCheckpoint,
} from '../../src/ledger/checkpoint.js';
import { parseVerifierKey, signerKey, verifierOf } from '../../src/ledger/note.js';
import { recordHash } from '../../src/ledger/record.js';
import { formatProof, type LogProof, parseProof, verifyProof } from '../../src/ledger/tlog-proof.js';
import { nodeHash } from '../../src/ledger/tree.js';
import { itWith } from '../support/tools.js';

/** The examples of the specifications. */
const SOFA =
  'example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n\n' +
  '— example.com/behind-the-sofa Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=\n' +
  '— witness.example.com/w1 jWbPPwAAAABkGFDLEZMHwSRaJNiIDoe9DYn/zXcrtPHeolMI5OWXEhZCB9dlrDJsX3b2oyin1nPZqhf5nNo0xUe+mbIUBkBIfZ+qnA==\n';
const FANCY_HASHES = [
  'gSKyXoYZUgZ6jduWYrkDOARinOMGJveXjgMkBTcdPlQ=',
  'B95lDa8R83lS8n0eG+o0buTxRKQTYFi//1U8anccXmA=',
  'EKNzoDWG8LGC0Yp9o+sv3qllpMP9uHQ9B20KNL+Q1zs=',
  'RoopEkOdqkYqMB4MJXrbt/hMjOxsVn0IrWjpz1ZMMes=',
  'AHCioX9nLjsrse6YhjRRmk1WUEirVOLLRoOQ6vfO5vk=',
];
const FANCY = ['c2sp.org/tlog-proof@v1', 'extra YWdlLXYxLjIuMS1kYXJ3aW4tYXJtNjQudGFyLmd6', 'index 73894', ...FANCY_HASHES].join('\n');

const key = signerKey('example.com/log', Buffer.alloc(32, 7));
const known = [verifierOf(key)];
const leaves = ['a', 'b', 'c'].map((text) => recordHash(Buffer.from(text)));
const root = nodeHash(nodeHash(leaves[0]!, leaves[1]!), leaves[2]!);
const signed = signCheckpoint('example.com/log', { size: 3n, root }, [key]);

describe('a checkpoint', () => {
  it('is origin, size and root', () => {
    expect(readCheckpoint(SOFA)).toEqual({
      origin: 'example.com/behind-the-sofa',
      size: 20852163n,
      root: Buffer.from('CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=', 'base64'),
      extensions: [],
    });
    expect(checkpointText('example.com/behind-the-sofa', readCheckpoint(SOFA))).toBe(SOFA.slice(0, SOFA.indexOf('\n\n') + 1));
    expect(parseCheckpointText(`${checkpointText('o', { size: 0n, root })}more\n`)).toMatchObject({ size: 0n, extensions: ['more'] });
  });

  it('opens with a key that signed it and with no other', () => {
    expect(openCheckpoint(signed, known)).toMatchObject({ origin: 'example.com/log', size: 3n, root, signers: known });
    const stranger = verifierOf(signerKey('example.com/log', Buffer.alloc(32, 8)));
    expect(() => openCheckpoint(signed, [stranger])).toThrow(`none of the known keys signed it; these did: example.com/log+${key.id}`);
    expect(() => openCheckpoint(signed, [])).toThrow('none of the known keys');
  });

  itWith('openssl')('is verified by openssl', () => {
    const directory = mkdtempSync(join(tmpdir(), 'ao-checkpoint-'));
    const file = (name: string, content: string | Buffer) => {
      writeFileSync(join(directory, name), content);
      return join(directory, name);
    };
    const { text, signatures } = openCheckpoint(signed, known);
    const publicKey = file('key', Buffer.concat([Buffer.from('302a300506032b6570032100', 'hex'), known[0]!.bytes]));
    const signature = file('signature', signatures[0]!.bytes);
    const verify = (said: string) => {
      const args = ['-pubin', '-keyform', 'DER', '-inkey', publicKey, '-rawin', '-in', file('text', said), '-sigfile', signature];
      return execFileSync('openssl', ['pkeyutl', '-verify', ...args], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] });
    };
    try {
      expect(verify(text)).toContain('Signature Verified Successfully');
      expect(() => verify(text.replace('3', '4'))).toThrow();
    } finally {
      rmSync(directory, { recursive: true });
    }
  });

  it('opens with the keys of before and after a rotation', () => {
    const next = signerKey('example.com/log', Buffer.alloc(32, 9));
    const note = signCheckpoint('example.com/log', { size: 3n, root }, [next, key]);
    for (const each of [key, next]) expect(openCheckpoint(note, [verifierOf(each)]).signers).toEqual([verifierOf(each)]);
  });

  it.each([
    ['no origin', '\n3\nROOT\n'],
    ['no size', 'o\n\nROOT\n'],
    ['a size with a leading zero', 'o\n03\nROOT\n'],
    ['a size with a sign', 'o\n+3\nROOT\n'],
    ['a size that is no number', 'o\n3e1\nROOT\n'],
    ['a size of other digits', 'o\n\u0663\nROOT\n'],
    ['a size beyond 64 bits', 'o\n18446744073709551616\nROOT\n'],
    ['a root of 31 bytes', `o\n3\n${root.subarray(1).toString('base64')}\n`],
    ['a root of 33 bytes', `o\n3\n${Buffer.concat([root, Buffer.of(0)]).toString('base64')}\n`],
    ['a root without padding', `o\n3\n${root.toString('base64').slice(0, -1)}\n`],
    ['no root', 'o\n3\n'],
    ['no end of its last line', `o\n3\n${root.toString('base64')}`],
    ['an empty line', 'o\n3\nROOT\n\nmore\n'],
  ])('with %s is refused', (_what, text) => {
    expect(() => parseCheckpointText(text.replace('ROOT', root.toString('base64')))).toThrow(/^this is no checkpoint|is no size/);
  });

  it('may have 2^64 - 1 leaves', () => {
    expect(parseSize('18446744073709551615')).toBe(2n ** 64n - 1n);
  });
});

describe('a tlog-proof', () => {
  const proof: LogProof = { index: 1n, path: [leaves[0]!, leaves[2]!], checkpoint: signed, extra: null };

  it('is read and written as the specification’s example', () => {
    const parsed = parseProof(`${FANCY}\n\n${SOFA}`);
    expect(parsed.index).toBe(73894n);
    expect(parsed.path.map((hash) => hash.toString('base64'))).toEqual(FANCY_HASHES);
    expect(parsed.extra?.toString()).toBe('age-v1.2.1-darwin-arm64.tar.gz');
    expect(parsed.checkpoint).toBe(SOFA);
    expect(formatProof(parsed)).toBe(`${FANCY}\n\n${SOFA}`);
  });

  it('proves that a leaf stands in a checkpoint somebody signed', () => {
    expect(verifyProof(parseProof(formatProof(proof)), leaves[1]!, known)).toMatchObject({ size: 3n, root });
    const only = signCheckpoint('example.com/log', { size: 1n, root: leaves[0]! }, [key]);
    expect(
      verifyProof(parseProof(formatProof({ index: 0n, path: [], checkpoint: only, extra: Buffer.alloc(0) })), leaves[0]!, known).size,
    ).toBe(1n);
  });

  it('proves nothing about another leaf, place, path or key, or with a changed checkpoint', () => {
    expect(() => verifyProof(proof, leaves[0]!, known)).toThrow('does not lead');
    expect(() => verifyProof({ ...proof, index: 0n }, leaves[1]!, known)).toThrow('does not lead');
    expect(() => verifyProof({ ...proof, index: 3n }, leaves[1]!, known)).toThrow('does not lead');
    expect(() => verifyProof({ ...proof, path: proof.path.toReversed() }, leaves[1]!, known)).toThrow('does not lead');
    expect(() => verifyProof({ ...proof, checkpoint: signed.replace('\n3\n', '\n4\n') }, leaves[1]!, known)).toThrow('is not good');
    const stranger = parseVerifierKey('PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW');
    expect(() => verifyProof(proof, leaves[1]!, [stranger])).toThrow('none of the known keys');
  });

  it.each([
    ['another header', FANCY.replace('@v1', '@v2')],
    ['extra that is no base64', FANCY.replace('extra YW', 'extra !!')],
    ['no index', FANCY.replace('index 73894\n', '')],
    ['an index with a leading zero', FANCY.replace('73894', '073894')],
    ['a negative index', FANCY.replace('73894', '-5')],
    ['an index that is no number', FANCY.replace('73894', 'notanumber')],
    ['extra after the index', FANCY.replace(/(extra .*)\n(index .*)/, '$2\n$1')],
    ['a hash that is no base64', FANCY.replace(FANCY_HASHES[0]!, '!!notbase64!!')],
    ['a hash of 64 bytes', FANCY.replace(FANCY_HASHES[0]!, Buffer.alloc(64).toString('base64'))],
    ['65 hashes', `${FANCY}\n${FANCY_HASHES[0]}`.concat(`\n${FANCY_HASHES[0]}`.repeat(59))],
  ])('with %s is refused', (_what, head) => {
    expect(() => parseProof(`${head}\n\n${SOFA}`)).toThrow(/^this proves nothing|is no size or index/);
  });

  it('without a checkpoint is refused', () => {
    expect(() => parseProof(FANCY)).toThrow('it has no checkpoint');
    expect(() => verifyProof(parseProof(`${FANCY}\n\n`), leaves[0]!, known)).toThrow('this is no signed note');
  });
});
