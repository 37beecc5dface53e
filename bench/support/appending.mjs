/** Writers in this process: through the appender, and beside it the plain INSERT of the same rows. */
import { built } from './database.mjs';
import { quantile } from './numbers.mjs';
import { cpuOf, cpuOfDatabase } from './processes.mjs';

/** A disclosure of about 300 bytes, as a short question or answer makes it. */
export const RESULT = {
  message: 'The weather in Reykjavik tomorrow: rain in the morning, 4 °C, wind from the south-west. '.repeat(3).slice(0, 262),
};

/** What the benches need of the build. */
export async function toolsOf(options) {
  const [{ Appender }, { newDraft, newDisclosure }, { stamp }, { newId }] = await Promise.all([
    built(options.root, 'ledger/append.worker.js'),
    built(options.root, 'ledger/draft.system.js'),
    built(options.root, 'ledger/record.js'),
    built(options.root, 'kernel/ids.system.js'),
  ]);
  return { Appender, newDraft, newDisclosure, stamp, newId };
}

export const oneDraft = ({ newDraft }) => newDraft('agent.health', { from: 'bench-agent', version: '1.0.0' }, { result: RESULT });

/** A session with its name, and the intents that add finished contracts to it; two events each. */
export function newSession({ newDraft, newDisclosure, newId }, name) {
  const stream = `default/session/${newId()}`;
  let opening = { tenant: 'default', name, after: null, disclosure: newDisclosure('session', name) };
  const contract = () => {
    const task = newId();
    const deadline = new Date(Date.now() + 30_000).toISOString();
    const request = newDraft(
      'contract.request',
      { task, from: 'orchestrator', status: 'pending', deadline },
      { asked: { capability: 'echo' }, parameters: RESULT },
    );
    const members = { in_reply_to: request.id, cause: request.id, task, from: 'orchestrator', to: 'orchestrator' };
    const error = { code: 'no_agent', message: 'no registered agent offers what was asked for' };
    return [request, newDraft('contract.response', { ...members, status: 'failed', error_code: 'no_agent' }, { error })];
  };
  const next = (contracts) => {
    const drafts = Array.from({ length: contracts }, contract).flat();
    const intent = { stream, drafts, open: { owner: 'bench', seconds: 30 }, ...(opening && { opening }) };
    opening = null;
    return intent;
  };
  return { stream, next };
}

/** Grows the ledger by `events` in sessions of 100 events, in full batches; whatever the appender refuses ends the bench. */
export async function fill(appender, tools, events, prefix) {
  const writers = 100;
  let left = Math.ceil(events / 2);
  let sessions = 0;
  const writer = async () => {
    let session;
    for (let i = 0; left-- > 0; i++) {
      if (i % 50 === 0) session = newSession(tools, `${prefix}-${++sessions}`);
      const { refusal } = await appender.append(session.next(1), 60_000);
      if (refusal) throw new Error(`refused: ${refusal.code}`);
    }
  };
  await Promise.all(Array.from({ length: writers }, writer));
}

/** `writers` do `one(n, i)` again and again for `milliseconds`, or `most` times together; CPU of this process and of the database's backends per call. */
export async function repeat({ writers, milliseconds, database, rows = 1, most = Number.POSITIVE_INFINITY }, one) {
  let left = most;
  const latencies = [];
  const used = () => ({ node: cpuOf(process.pid), db: database ? cpuOfDatabase(database.name) : 0 });
  const before = used();
  const started = performance.now();
  const until = started + milliseconds;
  const writer = async (n) => {
    for (let i = 0; left-- > 0 && performance.now() < until; i++) {
      const at = performance.now();
      await one(n, i);
      latencies.push(performance.now() - at);
    }
  };
  await Promise.all(Array.from({ length: writers }, (_, n) => writer(n)));
  const seconds = (performance.now() - started) / 1000;
  const after = used();
  const calls = latencies.length * rows;
  return {
    rate: calls / seconds,
    p50: quantile(latencies, 0.5),
    p99: quantile(latencies, 0.99),
    node: ((after.node - before.node) * 1000) / calls,
    db: ((after.db - before.db) * 1000) / calls,
  };
}

/** Appends to streams of their own, one per writer, new ones in every measurement. */
export async function appends(appender, tools, { writers, milliseconds, database, most }) {
  const streams = Array.from({ length: writers }, () => `default/agent/bench-${tools.newId().toLowerCase()}`);
  const before = appender.status();
  const result = await repeat({ writers, milliseconds, database, most }, async (n) => {
    const { refusal } = await appender.append({ stream: streams[n], drafts: [oneDraft(tools)] });
    if (refusal) throw new Error(`refused: ${refusal.code}`);
  });
  const after = appender.status();
  return { ...result, batch: (after.events - before.events) / (after.batches - before.batches) };
}

const COLUMNS = [
  ['event_id', 'text'],
  ['stream', 'text'],
  ['seq', 'bigint'],
  ['type', 'text'],
  ['time', 'text'],
  ['task', 'text'],
  ['cause', 'text'],
  ['in_reply_to', 'text'],
  ['from_agent', 'text'],
  ['to_agent', 'text'],
  ['capability', 'text'],
  ['status', 'text'],
  ['error_code', 'text'],
  ['record', 'bytea'],
  ['hash', 'bytea'],
];
const names = COLUMNS.map(([name]) => name).join(', ');
/** The tables of the plain INSERT: the same columns with the same indexes, but no check, foreign key or trigger. */
export const PLAIN_TABLES = [
  'CREATE TABLE plain_event (LIKE event INCLUDING INDEXES INCLUDING IDENTITY)',
  'CREATE TABLE plain_payload (LIKE payload INCLUDING INDEXES)',
];
/** For batches of any size: one array a column; payload by the id of its event. */
export const INSERT_PLAIN = {
  name: 'plain',
  text: `WITH e AS (
    INSERT INTO plain_event (${names})
    SELECT * FROM unnest(${COLUMNS.map(([, type], i) => `$${i + 1}::${type}[]`).join(', ')}) RETURNING id, event_id)
  INSERT INTO plain_payload (event, name, bytes)
  SELECT e.id, p.name, p.bytes FROM unnest($16::text[], $17::text[], $18::bytea[]) AS p(event_id, name, bytes) JOIN e USING (event_id)`,
};

/** For batches of one size: the rows as VALUES, a tenth to a third faster than arrays. */
function insertValues(batch) {
  let last = 0;
  const list = (types) => Array.from({ length: batch }, () => `(${types.map((type) => `$${++last}${type}`).join(', ')})`).join(', ');
  const text = `WITH e AS (
    INSERT INTO plain_event (${names}) VALUES ${list(COLUMNS.map(() => ''))} RETURNING id, event_id)
  INSERT INTO plain_payload (event, name, bytes)
  SELECT e.id, p.name, p.bytes FROM (VALUES ${list(['::text', '::text', '::bytea'])}) AS p(event_id, name, bytes) JOIN e USING (event_id)`;
  return { name: `plain_${batch}`, text };
}

/**
 * The plain alternative: nothing hashed, chained or waited for, made-up bytes of the same length, in one committed statement per batch.
 */
export async function plainInserts(db, { stamp, newId, newDraft }) {
  for (const sql of PLAIN_TABLES) await db.query(sql);
  const draft = oneDraft({ newDraft });
  const { bytes, hash } = stamp(draft, { stream: `default/agent/bench-${newId()}`, seq: 1000, prev: Buffer.alloc(32) });
  const [disclosure] = draft.disclosures;
  const row = (stream, seq) => [
    newId(),
    stream,
    seq,
    draft.type,
    draft.time,
    ...[null, null, null, 'bench-agent', null, null, null, null],
    bytes,
    hash,
  ];
  return (batch, milliseconds, database) => {
    const streams = Array.from({ length: batch }, () => `default/agent/bench-${newId().toLowerCase()}`);
    const { name, text } = insertValues(batch);
    return repeat({ writers: 1, milliseconds, database, rows: batch }, async (_, i) => {
      const rows = streams.map((stream) => row(stream, i + 1));
      await db.named(name, text, [...rows.flat(), ...rows.flatMap(([id]) => [id, 'result', disclosure.bytes])]);
    });
  };
}
