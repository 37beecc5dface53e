/** A bundle is written, damaged as a forger would, and checked by the file that lies in it. */
import { execFile } from 'node:child_process';
import { cp, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { type BundleVerdict, verifyBundle } from '../../src/audit/bundle/verify.mjs';
import { writeBundle } from '../../src/audit/export/bundle.system.js';
import { canonicalJson } from '../../src/kernel/canonical.js';
import type { JsonValue } from '../../src/kernel/json.js';
import { readCheckpoint, signCheckpoint } from '../../src/ledger/checkpoint.js';
import { signerKey } from '../../src/ledger/note.js';
import { disclose, disclosureDigest, recordHash } from '../../src/ledger/record.js';
import { type PaperExport, PaperLog, paperEvidence, VKEY } from './paper-evidence.js';
import { OTHER, PaperLedger, SESSION, SYSTEM } from './paper-ledger.js';

const run = promisify(execFile);
const AGENT = 'default/agent/echo_agent';

/** A closed session, one that is still open beside it, an agent, and another tenant's event, all in one log. */
function paper() {
  const ledger = new PaperLedger();
  const agent = ledger.append(AGENT, 'agent.registered', { version: '1.0.0' }, { description: { agent_id: 'echo_agent' } });
  const to_record = agent.row.hash.toString('hex');
  const ask = (stream: string, text: string) =>
    ledger.append(
      stream,
      'contract.request',
      { status: 'pending', from: 'orchestrator', to: 'echo_agent', to_version: '1.0.0', to_record, capability: 'echo' },
      { parameters: { text }, routing: { chosen_for: text } },
    );
  const first = ask(SESSION, 'one');
  const elsewhere = ask(OTHER, 'else');
  const answer = ledger.response(first, 'Echo: one');
  ledger.append('acme/system', 'hold.placed');
  const second = ask(SESSION, 'two');
  const reply = ledger.response(second, 'Echo: two');
  const seal = ledger.append(SESSION, 'session.closed', { reason: 'requested' });
  const system = ledger.append(SYSTEM, 'hold.placed');
  return { ledger, agent, first, answer, elsewhere, second, reply, seal, system };
}

const session = ({ agent, first, answer, second, reply, seal }: ReturnType<typeof paper>): PaperExport => ({
  scope: { kind: 'session', tenant: 'default', streams: [SESSION] },
  events: [first, answer, second, reply, seal],
  context: [agent],
  proven: [7, 0],
});

let scratch: string;
let made = 0;
beforeAll(async () => {
  scratch = await mkdtemp(join(tmpdir(), 'bundles-'));
});
afterAll(() => rm(scratch, { recursive: true, force: true }));

async function written(ledger: PaperLedger, asked: PaperExport): Promise<string> {
  const directory = join(scratch, String(++made));
  await writeBundle(directory, paperEvidence(ledger, asked));
  return directory;
}

/** Of a copy, changed in between. */
async function verdictOf(
  directory: string,
  change: Change | null = null,
  options: Parameters<typeof verifyBundle>[1] = {},
): Promise<BundleVerdict> {
  const copy = join(scratch, String(++made));
  await cp(directory, copy, { recursive: true });
  if (change) await change(copy);
  return verifyBundle(copy, options);
}

type Change = (directory: string) => Promise<void>;
const edited =
  (name: string, edit: (text: string) => string): Change =>
  async (directory) => {
    const path = join(directory, name);
    const before = await readFile(path, 'utf8');
    const after = edit(before);
    expect(after).not.toBe(before);
    await writeFile(path, after);
  };
const lines = (name: string, edit: (lines: string[]) => string[]) =>
  edited(name, (text) => `${edit(text.trimEnd().split('\n')).join('\n')}\n`);
const records = (edit: (lines: string[]) => string[]) => lines('records.ndjson', edit);
const results = (verdict: BundleVerdict) => Object.fromEntries(verdict.checks.map(({ name, result }) => [name, result]));

/** The lines from `at` on with every link made anew, as somebody without the key would. */
function rechained(all: readonly string[], at: number, change: Record<string, JsonValue>): string[] {
  const after = [...all];
  for (let i = at; i < after.length; i++) {
    const members = JSON.parse(after[i]!) as Record<string, JsonValue>;
    const prev = i === at ? {} : { prev: recordHash(Buffer.from(after[i - 1]!)).toString('hex') };
    const seal = i > at && members['last_head'] !== undefined ? { last_head: prev.prev! } : {};
    after[i] = canonicalJson({ ...members, ...(i === at ? change : {}), ...prev, ...seal });
  }
  return after;
}

describe('a bundle of a closed session', () => {
  const sheet = paper();
  let sound: string;
  beforeAll(async () => {
    sound = await written(sheet.ledger, { ...session(sheet), known: [3] });
  });

  it('holds what its README says, and nothing else', async () => {
    const names = (await readdir(sound)).sort();
    expect(names).toEqual(
      'README.md checkpoint consistency context.ndjson disclosures.ndjson manifest.json proofs prov.json records.ndjson verify.mjs'.split(
        ' ',
      ),
    );
    const readme = await readFile(join(sound, 'README.md'), 'utf8');
    for (const name of names) if (name !== 'README.md') expect(readme).toContain(`\`${name}`);
  });

  it('is valid: every step passes but those that need something from outside or the whole log', async () => {
    const verdict = await verdictOf(sound);
    expect(verdict).toMatchObject({ verdict: 'valid', anchored: false, events: 5, streams: 1, found: 0, open: { count: 0 } });
    const unchecked = verdict.checks.filter(({ result }) => result !== 'pass').map(({ name }) => name);
    expect(unchecked).toEqual(['known checkpoints', 'log completeness']);
    expect([...new Set(verdict.checks.map(({ step }) => step))]).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
  });

  it('is anchored by a key from outside, and by a checkpoint that was kept', async () => {
    const kept = join(scratch, 'kept');
    await writeFile(kept, new PaperLog(sheet.ledger).note(3));
    expect(await verdictOf(sound, null, { keys: [VKEY] })).toMatchObject({ verdict: 'valid', anchored: true });
    const known = await verdictOf(sound, null, { known: [kept] });
    expect([known.verdict, known.anchored, results(known)['known checkpoints']]).toEqual(['valid', true, 'pass']);
  });

  it('is not anchored by a kept checkpoint where another key signed what came later', async () => {
    const kept = join(scratch, 'kept by another');
    const head = readCheckpoint(new PaperLog(sheet.ledger).note(3));
    await writeFile(kept, signCheckpoint(head.origin, head, [signerKey(head.origin, Buffer.alloc(32, 9))]));
    const verdict = await verdictOf(sound, null, { known: [kept] });
    expect([verdict.verdict, verdict.anchored, results(verdict)['known checkpoints']]).toEqual(['valid', false, 'pass']);
  });

  it('says that it has no proof from a checkpoint it was not exported for', async () => {
    const kept = join(scratch, 'other');
    await writeFile(kept, new PaperLog(sheet.ledger).note(4));
    const verdict = await verdictOf(sound, null, { known: [kept] });
    expect([verdict.verdict, verdict.anchored, results(verdict)['known checkpoints']]).toEqual(['valid', false, 'not checked']);
  });

  it('diverges from a checkpoint of the same log with another history', async () => {
    const fork = paper();
    fork.ledger.rewrite(fork.agent, { version: '6.6.6' });
    const kept = join(scratch, 'fork');
    await writeFile(kept, new PaperLog(fork.ledger).note(3));
    expect(await verdictOf(sound, null, { known: [kept] })).toMatchObject({ verdict: 'diverged', anchored: false });
  });

  const secret = disclose('AAAAAAAAAAAAAAAAAAAAAA', 'result', { message: 'forged' }).bytes.toString('utf8');
  const relinked = records((all) => rechained(all, 2, { capability: 'hack' }));
  const withoutProofs: Change = async (directory) => rm(join(directory, 'proofs'), { recursive: true });
  const tampering: [what: string, change: Change, verdict: string, check: string][] = [
    ['an edited record', records((l) => l.map((line, i) => (i === 2 ? line.replace('"echo"', '"hack"') : line))), 'invalid', 'chain'],
    ['an edited record and every link after it made anew', relinked, 'invalid', 'inclusion'],
    [
      'the same without the proof that gives it away',
      async (copy) => relinked(copy).then(() => withoutProofs(copy)),
      'incomplete',
      'inclusion',
    ],
    ['another last record', records((l) => rechained(l, 4, { reason: 'idle' })), 'invalid', 'inclusion'],
    ['a record left out of the middle', records((l) => l.filter((_, i) => i !== 2)), 'invalid', 'chain'],
    ['the last records left out', records((l) => l.slice(0, 3)), 'invalid', 'inclusion'],
    ['the first record left out', records((l) => l.slice(1)), 'invalid', 'chain'],
    ['two records exchanged', records(([a, b, ...rest]) => [b!, a!, ...rest]), 'invalid', 'chain'],
    ['a record twice', records(([a, ...rest]) => [a!, a!, ...rest]), 'invalid', 'chain'],
    ['a record written in another way', records((l) => l.map((line) => line.replace('{', '{ '))), 'invalid', 'canonical bytes'],
    ['a record that breaks the rules', records((l) => l.map((line) => line.replace('"v":1', '"v":"1"'))), 'invalid', 'record rules'],
    [
      'an edited disclosure',
      lines('disclosures.ndjson', (l) => l.map((line) => line.replace('Echo', 'Ecco'))),
      'invalid',
      'payload digests',
    ],
    ['a disclosure of nobody', lines('disclosures.ndjson', (l) => [...l, secret]), 'invalid', 'payload digests'],
    ['a disclosure left out', lines('disclosures.ndjson', (l) => l.slice(1)), 'incomplete', 'payload digests'],
    ['no context', lines('context.ndjson', () => []), 'invalid', 'canonical bytes'],
    ['an agent of another name', edited('context.ndjson', (text) => text.replace('echo_agent', 'evil_agent')), 'invalid', 'inclusion'],
    ['another size in the checkpoint', edited('checkpoint', (text) => text.replace('\n9\n', '\n8\n')), 'invalid', 'checkpoint'],
    [
      'another count in the manifest',
      edited('manifest.json', (text) => text.replace('"records": 5', '"records": 6')),
      'incomplete',
      'chain',
    ],
  ];
  it.each(tampering)('with %s does not pass', async (_, change, verdict, check) => {
    const found = await verdictOf(sound, change);
    expect([found.verdict, found.findings.map((finding) => finding.check)]).toEqual([verdict, expect.arrayContaining([check])]);
  });

  it('does not pass with one bit of its records, context, disclosures, checkpoint or proofs flipped, wherever it is', async () => {
    const copy = join(scratch, 'flipped');
    await cp(sound, copy, { recursive: true });
    const proofs = (await readdir(join(sound, 'proofs'))).map((name) => join('proofs', name));
    for (const name of ['records.ndjson', 'disclosures.ndjson', 'context.ndjson', 'checkpoint', ...proofs]) {
      const bytes = await readFile(join(sound, name));
      for (let at = 0; at < bytes.length - 1; at += 13) {
        const flipped = Buffer.from(bytes);
        flipped[at]! ^= 1 << (at % 8);
        await writeFile(join(copy, name), flipped);
        const outcome = await verifyBundle(copy, { keys: [VKEY] }).then(
          ({ verdict }) => verdict,
          ({ name: refused }: Error) => refused,
        );
        expect([name, at, outcome]).not.toEqual([name, at, 'valid']);
      }
      await writeFile(join(copy, name), bytes);
    }
  });

  it('is checked by plain node, in the directory itself, with exit codes', async () => {
    const { stdout } = await run(process.execPath, ['verify.mjs', '--key', VKEY, '--anchored'], { cwd: sound });
    expect(stdout.trimEnd().split('\n').at(-1)).toBe('VALID');
    await expect(run(process.execPath, [join(sound, 'verify.mjs'), '--anchored', '--json'])).rejects.toMatchObject({ code: 5 });
    const bad = join(scratch, 'bad');
    await cp(sound, bad, { recursive: true });
    await records((l) => l.slice(1))(bad);
    await expect(run(process.execPath, [join(bad, 'verify.mjs')])).rejects.toMatchObject({
      code: 2,
      stdout: expect.stringMatching(/\nINVALID but UNANCHORED/),
    });
    await rm(join(bad, 'records.ndjson'));
    await expect(run(process.execPath, [join(bad, 'verify.mjs')])).rejects.toMatchObject({
      code: 1,
      stderr: expect.stringContaining('records.ndjson'),
    });
    await expect(run(process.execPath, [join(bad, 'verify.mjs'), '--key', 'nonsense'])).rejects.toMatchObject({ code: 1, stdout: '' });
  });

  it('discloses selected fields, and the rest still verifies', async () => {
    const verdict = await verdictOf(await written(sheet.ledger, { ...session(sheet), only: ['result'] }));
    expect(verdict).toMatchObject({ verdict: 'valid', bundle: { only: ['result'] } });
    expect(verdict.checks.find(({ name }) => name === 'payload digests')).toMatchObject({
      count: 3,
      note: expect.stringMatching(/^4 withheld .*--only result/),
    });
  });

  const digests = ({ payload }: { payload: readonly { name: string; bytes: Buffer }[] }) =>
    payload.map(({ name, bytes }) => ({ name, digest: disclosureDigest(bytes) }));
  const erasures: [what: string, members: (erased: ReturnType<typeof paper>['second']) => Record<string, JsonValue>][] = [
    ['a stream', () => ({ streams: [SESSION] })],
    ['an event', ({ row }) => ({ events: [row.event_id] })],
    ['single disclosures', (event) => ({ disclosures: digests(event).map((one) => ({ event: event.row.event_id, ...one })) })],
  ];
  it.each(erasures)('shows what was erased of %s, by the record that says so; without it, it is incomplete', async (_, members) => {
    const erasing = paper();
    const erased = erasing.ledger.append(SYSTEM, 'payload.erased', {}, { basis: 'GDPR Art. 17' });
    erasing.ledger.rewrite(erased, members(erasing.second));
    erasing.second.payload = [];
    const asked = session(erasing);
    const verdict = await verdictOf(await written(erasing.ledger, { ...asked, context: [erasing.agent, erased], proven: [7, 0, 9] }));
    expect(verdict).toMatchObject({ verdict: 'valid' });
    expect(verdict.erased).toEqual({ events: 1, by: [{ erasure: erased.row.event_id, basis: 'GDPR Art. 17', events: 1 }] });
    const silent = await verdictOf(await written(erasing.ledger, asked));
    expect(silent).toMatchObject({
      verdict: 'incomplete',
      found: 2,
      first: { check: 'payload digests', event_id: erasing.second.row.event_id },
    });
  });

  it('takes the erasure of a stream as no word about what came after it', async () => {
    const erasing = paper();
    const erased = erasing.ledger.append(SYSTEM, 'payload.erased');
    erasing.ledger.rewrite(erased, { streams: [SESSION] });
    const late = erasing.ledger.append(SESSION, 'session.compressed', { from_seq: 1, to_seq: 5 }, { block: 'a summary' });
    erasing.second.payload = [];
    late.payload = [];
    const asked = session(erasing);
    const context = [erasing.agent, erased];
    const all = { ...asked, events: [...asked.events, late], context, proven: [10, 7, 0, 9] };
    const verdict = await verdictOf(await written(erasing.ledger, all));
    expect(verdict).toMatchObject({
      verdict: 'incomplete',
      found: 1,
      first: { event_id: late.row.event_id, what: expect.stringMatching(/no later/) },
    });
    expect(verdict.erased.events).toBe(1);
    // Without a proof before the erasure nothing shows that the other was there by then.
    const unshown = await verdictOf(await written(erasing.ledger, { ...all, proven: [10, 0, 9] }));
    expect(unshown).toMatchObject({ verdict: 'incomplete', found: 3 });
  });

  it('takes the word of no other tenant for an erasure', async () => {
    const erasing = paper();
    const erased = erasing.ledger.append('acme/system', 'payload.erased');
    erasing.ledger.rewrite(erased, { events: [erasing.second.row.event_id] });
    erasing.second.payload = [];
    const asked = { ...session(erasing), context: [erasing.agent, erased], proven: [7, 0, 9] };
    expect(await verdictOf(await written(erasing.ledger, asked))).toMatchObject({ verdict: 'incomplete' });
  });

  it('only agrees with itself where no checkpoint covers it', async () => {
    const verdict = await verdictOf(await written(sheet.ledger, { ...session(sheet), proven: null }));
    expect(verdict).toMatchObject({ verdict: 'valid', anchored: false });
    expect(results(verdict)).toMatchObject({ inclusion: 'not checked', checkpoint: 'not checked', 'session completeness': 'pass' });
  });

  it('says how many records are newer than the checkpoint', async () => {
    const verdict = await verdictOf(await written(sheet.ledger, { ...session(sheet), proven: [3, 0], size: 6 }));
    expect(verdict).toMatchObject({
      verdict: 'incomplete',
      found: 1,
      first: { check: 'inclusion', seq: 5, what: expect.stringMatching(/^3 records/) },
    });
  });
});

it('a session that is not closed is never called complete', async () => {
  const sheet = paper();
  const asked: PaperExport = {
    scope: { kind: 'session', tenant: 'default', streams: [OTHER] },
    events: [sheet.elsewhere],
    context: [sheet.agent],
    proven: [2, 0],
  };
  const verdict = await verdictOf(await written(sheet.ledger, asked));
  expect([verdict.verdict, results(verdict)['session completeness'], verdict.open.count]).toEqual(['valid', 'not checked', 1]);
});

describe('a bundle of a range', () => {
  const sheet = paper();
  const own = () => sheet.ledger.events.slice(1, 8).filter(({ row }) => row.stream.startsWith('default/'));
  const range: PaperExport = {
    scope: { kind: 'range', tenant: 'default', from: 1, to: 7 },
    events: own(),
    context: [sheet.agent],
    proven: [1, 7, 0],
  };

  it('is complete: its leaves add up to the root with the proofs of the first and the last', async () => {
    const verdict = await verdictOf(await written(sheet.ledger, range));
    expect(verdict).toMatchObject({ verdict: 'valid', events: 6 });
    const complete = verdict.checks.find(({ name }) => name === 'log completeness');
    expect(complete).toMatchObject({ result: 'pass', count: 7, note: expect.stringMatching(/^1 leaves without their record/) });
  });

  it('does not pass with a leaf left out, exchanged or changed', async () => {
    const bundle = await written(sheet.ledger, range);
    const changes: ((all: string[]) => string[])[] = [
      (all) => all.filter((_, i) => i !== 3),
      ([a, b, c, ...rest]) => [a!, c!, b!, ...rest],
      (all) => all.map((leaf, i) => (i === 2 ? leaf.replace(/^./, (c) => (c === '0' ? '1' : '0')) : leaf)),
    ];
    for (const change of changes) {
      const { findings } = await verdictOf(bundle, lines('leaves', change));
      expect(findings[0]).toMatchObject({ check: 'log completeness', severity: 'incomplete' });
    }
  });

  it('shows a record of a stream left out as a gap', async () => {
    const bundle = await written(sheet.ledger, range);
    expect(
      await verdictOf(
        bundle,
        records((all) => all.filter((_, i) => i !== 2)),
      ),
    ).toMatchObject({ verdict: 'invalid', first: { check: 'chain', seq: 2 } });
  });
});

it('a bundle of one contract proves each half by itself', async () => {
  const sheet = paper();
  const scope = { kind: 'contract' as const, tenant: 'default', contract: sheet.second.row.event_id };
  const asked: PaperExport = { scope, events: [sheet.second, sheet.reply], context: [sheet.agent], proven: [5, 6, 0] };
  const verdict = await verdictOf(await written(sheet.ledger, asked));
  expect([verdict.verdict, results(verdict)['inclusion'], results(verdict)['session completeness']]).toEqual([
    'valid',
    'pass',
    'not checked',
  ]);
});

it('an export that breaks off leaves nothing behind', async () => {
  const sheet = paper();
  const broken = async function* () {
    for await (const piece of paperEvidence(sheet.ledger, session(sheet))) {
      if (piece.kind === 'checkpoint') throw new Error('gone');
      yield piece;
    }
  };
  const before = await readdir(scratch);
  await expect(writeBundle(join(scratch, 'broken'), broken())).rejects.toThrow('gone');
  expect(await readdir(scratch)).toEqual(before);
});
