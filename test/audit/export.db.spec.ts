/** From real tables into bundles and the formats of others, and back through the verifier. */
import { createPublicKey, generateKeyPairSync, verify } from 'node:crypto';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { verifyBundle } from '../../src/audit/bundle/verify.mjs';
import { openBundle, packBundle } from '../../src/audit/export/archive.system.js';
import { writeBundle } from '../../src/audit/export/bundle.system.js';
import { cloudEvents } from '../../src/audit/export/cloud-events.js';
import { type Evidence, type ExportRequest, membersOf } from '../../src/audit/export/evidence.js';
import { evidenceOf } from '../../src/audit/export/evidence.postgres.js';
import { readEvidence } from '../../src/audit/export/evidence-wire.js';
import { inToto, preAuthEncoding } from '../../src/audit/export/in-toto.js';
import { otlp } from '../../src/audit/export/otlp.js';
import { provJson } from '../../src/audit/export/prov-document.system.js';
import { noteAt } from '../../src/ledger/checkpoint.postgres.js';
import type { Database } from '../../src/ledger/database.postgres.js';
import { newDraft } from '../../src/ledger/draft.system.js';
import { LogEpochs } from '../../src/ledger/log-epoch.postgres.js';
import { CheckpointSigner } from '../../src/ledger/signer.postgres.js';
import { describeEachDatabase } from '../support/databases.js';
import { expectSound } from '../support/sound.js';
import { KEY, ORIGIN, VKEY } from './paper-evidence.js';
import { Recorder } from './recorded-sessions.js';

describeEachDatabase('an export', (open) => {
  let db: Database;
  let scratch: string;
  let made = 0;
  /** Sizes of the two checkpoints. */
  const sizes: number[] = [];

  beforeAll(async () => {
    ({ db } = await open());
    scratch = await mkdtemp(join(tmpdir(), 'exports-'));
    const recorder = new Recorder(db);
    const epochs = new LogEpochs(db, recorder.appender, { wanted: ORIGIN, keys: [KEY], keyFile: '' }, null);
    const signer = new CheckpointSigner(db, epochs, [KEY], null);
    const sign = async () => {
      await recorder.sequenceAll();
      for (let signed = await signer.sign(0); !(signed && 'now' in signed && signed.now); ) signed = await signer.sign(0);
      sizes.push((await db.query<{ size: number }>('SELECT max(size) AS size FROM checkpoint'))[0]!.size);
    };
    await recorder.append(
      'default/agent/echo_agent',
      newDraft('agent.registered', { version: '1.0.0' }, { description: { agent_id: 'echo_agent' } }),
    );
    await recorder.session('closed', 4);
    await sign();
    const [closed] = await db.query<{ stream: string }>(`SELECT stream FROM session WHERE name = 'closed'`);
    await recorder.append('acme/system', newDraft('hold.placed', {}));
    await recorder.append(closed!.stream, newDraft('session.closed', { reason: 'requested' }));
    await recorder.session('open', 2, true);
    await sign();
    await recorder.session('late', 1); // after the last checkpoint
  });

  afterAll(() => rm(scratch, { recursive: true, force: true }));

  const DEFAULTS = { tenant: 'default', only: null, proveAll: false, known: [] as number[] };
  const evidence = (what: ExportRequest['what'], more: Partial<ExportRequest> = {}) =>
    evidenceOf({ db, madeBy: 'agent-orchestrator 0.0.0' }, { ...DEFAULTS, ...more, what });

  async function bundle(what: ExportRequest['what'], more: Partial<ExportRequest> = {}) {
    const directory = join(scratch, String(++made));
    const counts = await writeBundle(directory, evidence(what, more));
    return { directory, counts, verdict: await verifyBundle(directory, { keys: [VKEY] }) };
  }

  async function pieces(of: AsyncIterable<Evidence>): Promise<Evidence[]> {
    const all = [];
    for await (const piece of of) all.push(piece);
    return all;
  }

  async function text(of: AsyncIterable<string>): Promise<string> {
    let all = '';
    for await (const some of of) all += some;
    return all;
  }

  it('of a closed session proves itself with one proof', async () => {
    const { counts, verdict } = await bundle({ session: 'closed' });
    expect(counts).toEqual({ records: 9, context: 0, disclosures: 13, proofs: 1 });
    expect(verdict).toMatchObject({ verdict: 'valid', anchored: true, events: 9 });
    expect(verdict.checks.find(({ name }) => name === 'session completeness')?.result).toBe('pass');
  });

  it('gives every record a proof of its own where that is asked for', async () => {
    const { directory, verdict } = await bundle({ session: 'closed' }, { proveAll: true });
    expect([verdict.verdict, (await readdir(join(directory, 'proofs'))).length]).toEqual(['valid', 9]);
  });

  it('of a session that goes on is valid and not called complete', async () => {
    const { verdict } = await bundle({ session: 'open' });
    expect(verdict).toMatchObject({ verdict: 'valid', open: { count: 1 } });
    expect(verdict.checks.find(({ name }) => name === 'session completeness')?.result).toBe('not checked');
  });

  it('of a session can be had by its stream, since a name can be erased', async () => {
    const [closed] = await db.query<{ stream: string }>(`SELECT stream FROM session WHERE name = 'closed'`);
    const { verdict } = await bundle({ session: closed!.stream });
    expect([verdict.verdict, verdict.events]).toEqual(['valid', 9]);
    await expect(bundle({ session: 'default/session/01ARZ3NDEKTSV4RRFFQ69G5FAV' })).rejects.toMatchObject({ code: 'not_found' });
    await expect(bundle({ session: closed!.stream }, { tenant: 'acme' })).rejects.toMatchObject({ code: 'not_found' });
  });

  it('of what is newer than the last checkpoint says so', async () => {
    const { counts, verdict } = await bundle({ session: 'late' });
    expect([counts.proofs, verdict.verdict, verdict.first?.check]).toEqual([0, 'incomplete', 'inclusion']);
  });

  it('of a contract has both halves, whichever is named', async () => {
    const [response] = await db.query<{ event_id: string; in_reply_to: string }>(
      `SELECT event_id, in_reply_to FROM event WHERE type = 'contract.response' ORDER BY id LIMIT 1`,
    );
    for (const contract of [response!.event_id, response!.in_reply_to]) {
      const { directory, verdict } = await bundle({ contract });
      const ids = (await readFile(join(directory, 'records.ndjson'), 'utf8'))
        .trimEnd()
        .split('\n')
        .map((line) => membersOf(line).id);
      expect([verdict.verdict, ids]).toEqual(['valid', [response!.in_reply_to, response!.event_id]]);
    }
  });

  it('of a range has every leaf, of other tenants only the hash, and ends where the checkpoint does', async () => {
    const { directory, verdict } = await bundle({ from: 3, to: 9999 });
    const leaves = (await readFile(join(directory, 'leaves'), 'utf8')).trimEnd().split('\n');
    expect(leaves).toHaveLength(sizes[1]! - 3);
    expect(verdict).toMatchObject({ verdict: 'valid', anchored: true, events: leaves.length - 1 });
    expect(verdict.checks.find(({ name }) => name === 'log completeness')).toMatchObject({ result: 'pass', count: leaves.length });
    expect(await readFile(join(directory, 'records.ndjson'), 'utf8')).not.toContain('acme/');
  });

  it('discloses only the fields that were asked for, and nothing else leaves', async () => {
    const shown = await pieces(evidence({ session: 'closed' }, { only: ['result'] }));
    const names = shown.flatMap((piece) =>
      piece.kind === 'event' ? piece.disclosures.map((d) => (JSON.parse(d) as [string, string])[1]) : [],
    );
    expect([...new Set(names)]).toEqual(['result']);
    expect((await bundle({ session: 'closed' }, { only: ['result'] })).verdict).toMatchObject({ verdict: 'valid' });
  });

  it('proves that the log grew out of a checkpoint somebody kept', async () => {
    const kept = join(scratch, 'kept');
    await writeFile(kept, (await noteAt(db, ORIGIN, sizes[0]!))!);
    const { directory } = await bundle({ session: 'closed' }, { known: [sizes[0]!] });
    expect(await verifyBundle(directory, { known: [kept] })).toMatchObject({ verdict: 'valid', anchored: true });
    await expect(bundle({ session: 'closed' }, { known: [9999] })).rejects.toMatchObject({ code: 'invalid_request' });
  });

  it('is the same when it went over the wire', async () => {
    const sent = await pieces(evidence({ from: 0, to: 9999 }));
    const wire = async function* () {
      for (const piece of sent) yield Buffer.from(`${JSON.stringify(piece)}\n`);
    };
    expect(await pieces(readEvidence(wire()))).toEqual(sent);
    const cut = async function* () {
      yield Buffer.from(`${JSON.stringify(sent[0])}\n`);
    };
    await expect(pieces(readEvidence(cut()))).rejects.toMatchObject({
      code: 'ledger_unavailable',
      message: expect.stringContaining('ended too early'),
    });
  });

  it('survives being packed and unpacked', async () => {
    const { directory } = await bundle({ session: 'closed' });
    const archive = join(scratch, 'closed.tar.gz');
    await packBundle(directory, archive);
    const opened = await openBundle(archive);
    expect(await verifyBundle(opened.directory, { keys: [VKEY] })).toMatchObject({ verdict: 'valid', anchored: true });
    await opened.close();
    await expect(readdir(opened.directory)).rejects.toMatchObject({ code: 'ENOENT' });
    await writeFile(archive, 'no archive');
    await expect(openBundle(archive)).rejects.toMatchObject({ code: 'invalid_request' });
  });

  it('refuses what is not there', async () => {
    for (const what of [{ session: 'nobody' }, { contract: '01ARZ3NDEKTSV4RRFFQ69G5FAV' }, { from: 9999, to: 99999 }]) {
      await expect(pieces(evidence(what))).rejects.toMatchObject({ code: 'not_found' });
    }
    await expect(pieces(evidence({ session: 'closed' }, { tenant: 'acme' }))).rejects.toMatchObject({ code: 'not_found' });
  });

  it('as CloudEvents is a batch of valid events in the order of their stream', async () => {
    const events = JSON.parse(await text(cloudEvents(evidence({ session: 'closed' })))) as Record<string, unknown>[];
    expect(events).toHaveLength(9);
    for (const event of events)
      expect(event).toMatchObject({
        specversion: '1.0',
        id: expect.any(String),
        source: expect.stringMatching(/^urn:/),
        type: expect.any(String),
      });
    for (const name of events.flatMap(Object.keys)) expect(name).toMatch(/^[a-z0-9]{1,20}$/);
    const sequence = events.map((event) => event['sequence'] as string);
    expect([...sequence].sort()).toEqual(sequence);
    expect(events[0]).toMatchObject({ data: { disclosed: { session: 'closed', parameters: { message: 'hello 0' } } } });
  });

  it('as an in-toto Statement is signed by whoever exports', async () => {
    const { privateKey, publicKey } = generateKeyPairSync('ed25519');
    const { payloadType, payload, signatures } = JSON.parse(await inToto(evidence({ session: 'closed' }), privateKey));
    const bytes = Buffer.from(payload, 'base64');
    expect(
      verify(
        null,
        preAuthEncoding(payloadType, bytes),
        createPublicKey(publicKey.export({ format: 'pem', type: 'spki' })),
        Buffer.from(signatures[0].sig, 'base64'),
      ),
    ).toBe(true);
    const statement = JSON.parse(bytes.toString('utf8'));
    expect(statement).toMatchObject({
      _type: 'https://in-toto.io/Statement/v1',
      predicate: { contracts: { completed: 3, failed: 1, pending: 0 } },
    });
    expect(statement.subject).toHaveLength(9);
  });

  it('as OTLP has a span for every contract, the same each time', async () => {
    const [one, again] = [await text(otlp(evidence({ session: 'open' }))), await text(otlp(evidence({ session: 'open' })))];
    expect(one).toBe(again);
    const [{ scopeSpans }] = JSON.parse(one).resourceSpans;
    const spans = scopeSpans[0].spans as Record<string, unknown>[];
    expect(spans.map(({ status }) => status)).toEqual([{ code: 2 }, {}]);
    for (const span of spans) {
      expect(span).toMatchObject({
        traceId: expect.stringMatching(/^[0-9a-f]{32}$/),
        spanId: expect.stringMatching(/^[0-9a-f]{16}$/),
        name: 'invoke_agent echo_agent',
        kind: 3,
      });
      expect(BigInt(span['endTimeUnixNano'] as string) >= BigInt(span['startTimeUnixNano'] as string)).toBe(true);
    }
  });

  it('as PROV-JSON tells who did what, every relation between things that are declared', async () => {
    const document = JSON.parse(await text(provJson(evidence({ session: 'closed' }), scratch)));
    const [session] = Object.values(document.bundle) as Record<string, Record<string, Record<string, unknown>>>[];
    expect(Object.keys(session!['activity']!)).toHaveLength(4);
    const declared = new Set(['entity', 'activity', 'agent'].flatMap((kind) => Object.keys(session![kind] ?? {})));
    const relations = Object.entries(session!).filter(([kind]) => !['entity', 'activity', 'agent'].includes(kind));
    expect(relations.map(([kind]) => kind).sort()).toEqual([
      'actedOnBehalfOf',
      'used',
      'wasAssociatedWith',
      'wasAttributedTo',
      'wasDerivedFrom',
      'wasGeneratedBy',
    ]);
    for (const [, statements] of relations) {
      for (const [name, value] of Object.values(statements).flatMap(Object.entries))
        if (name !== 'prov:time') expect(declared).toContain(value);
    }
    expect(await readdir(scratch)).not.toEqual(expect.arrayContaining([expect.stringMatching(/^prov-/)]));
  });

  it('changes nothing', () => expectSound(db, { open: 1 }));
});
