/**
 * Reads the tables for verify, while others may be writing.
 *
 * No transaction is held: embedded, it would stop every append for as long as the audit takes; on a server it would hold back vacuum. So
 * the pages come from different moments, and this is why none of them raises a false alarm:
 *
 * - A stream's head, the seq of its last event and its open requests are read in one snapshot, before its events. An append changes them
 *   together, and what it appended is immutable; so the events up to that seq, whenever they are read, must add up to exactly that head
 *   and exactly those open requests. What was appended since is left to the next audit.
 * - Every event that was seen is, in every later snapshot, either in `pending` or in `leaf`: both are read in one statement.
 * - Payload comes with its event and leaves only by an erasure that was recorded before. It is read after the event, and the erasures are
 *   read after it: what explains a missing row is there by then.
 * - An event may be recorded long after the time it bears. Who seems to wait too long for his leaf is looked at again at the end.
 * - Checkpoints are signed of leaves that are committed, and are read before the leaves are: no tree they name is larger than what follows.
 * - `sequencer` and the last idx are read in one snapshot, before the leaves up to that idx; the sequencer changes them together, and
 *   leaves are immutable. A leaf's event, a row's stream, a session's first event are never younger than what names them.
 */
import { OrchestratorError } from '../kernel/errors.js';
import { logKeys } from '../ledger/checkpoint.postgres.js';
import type { Tx } from '../ledger/database.postgres.js';
import { orphanedPayloads } from '../ledger/payload.postgres.js';
import {
  type EventFacts,
  Verification,
  type VerificationState,
  type VerifyMessage,
  type VerifyProgress,
  type VerifyScope,
} from './verify.js';
import { explain, explainSome } from './verify-erasures.postgres.js';
import { verifyRange } from './verify-range.postgres.js';
import {
  completed,
  countEvents,
  type EventCursor,
  eventsAfter,
  factsOfStream,
  inBounds,
  LOWEST,
  leavesAfter,
  orderNow,
  sessionNamed,
  sessionsAfter,
  stillPending,
  strays,
  streamsAfter,
} from './verify-rows.postgres.js';
import { checkSession } from './verify-session.js';
import type { StreamFacts } from './verify-stream.js';
import { signedCheckpoints, storedNodes } from './verify-tree.postgres.js';

/** Checked in one go. A server verifies between its calls, none of which should wait for longer than these take; and the reading goes on. */
const SLICE = 200;
/** Whoever waits for his leaf was only just recorded, or has it after this time, or nobody sequences. */
const SECOND_LOOK_MS = 1000;

/** How the walk over the streams is done, where not one after the other on this connection. */
export interface VerifyManner {
  /** Elsewhere: some streams and all that belongs to their events, with what they were found to be. */
  readonly streams?: (facts: readonly StreamFacts[]) => Promise<VerificationState[]>;
  /** Where an earlier walk that was cut off had come to, and what it had found. */
  readonly begun?: VerifyStand | null;
  /** Called whenever it has come further. */
  readonly came?: (stand: VerifyStand) => Promise<void>;
}

export interface VerifyStand {
  /** All up to this stream, in "C" order, is verified. */
  readonly stream: string;
  readonly state: VerificationState;
}

/** Progress after every page, and in the end the verdict. One statement at a time: a `Tx` will do. */
export async function* verifyLedger(db: Tx, scope: VerifyScope = {}, manner: VerifyManner = {}): AsyncGenerator<VerifyMessage> {
  const verification = new Verification(scope);
  if (scope.session) yield* verifySession(db, verification, scope.session);
  else if (scope.range) yield* verifyRange(db, verification, scope.range);
  else yield* verifyAll(db, verification, manner);
  await lookAgain(db, verification);
  await explain(db, verification.payload);
  yield verification.verdict();
}

async function* verifyAll(db: Tx, verification: Verification, { streams, begun, came }: VerifyManner): AsyncGenerator<VerifyProgress> {
  if (begun) verification.absorb(begun.state);
  const total = await countEvents(db);
  const progress = () => ({ done: verification.report.events, total: Math.max(verification.report.events, total) });
  yield progress();
  let after = begun?.stream ?? null;
  for (let facts = await streamsAfter(db, after); facts.length > 0; facts = await streamsAfter(db, after)) {
    if (streams) {
      for (const state of await streams(facts)) verification.absorb(state);
      await explainSome(db, verification.payload);
      yield progress();
    } else for await (const _ of walkStreams(db, verification, facts)) yield progress();
    after = facts.at(-1)!.stream;
    await came?.({ stream: after, state: verification.state() });
  }
  verification.endStreams();
  await walkStrays(db, verification);
  await walkOrder(db, verification);
  await walkSessions(db, verification);
}

/** What `streams` of a manner does for each part of its streams. */
export async function verifyStreams(db: Tx, facts: readonly StreamFacts[]): Promise<VerificationState> {
  const verification = new Verification();
  for await (const _ of walkStreams(db, verification, facts));
  return verification.state();
}

/** `facts`: neighbours in "C" order. */
function walkStreams(db: Tx, verification: Verification, facts: readonly StreamFacts[]): AsyncGenerator<number> {
  verification.streams(facts);
  const from = { stream: facts[0]!.stream, seq: LOWEST, id: LOWEST };
  return walk(db, verification, from, facts.at(-1)!.stream);
}

async function* verifySession(
  db: Tx,
  verification: Verification,
  session: { tenant: string; name: string },
): AsyncGenerator<VerifyProgress> {
  const found = await sessionNamed(db, session);
  if (found === null)
    throw new OrchestratorError('not_found', `tenant ${session.tenant} has no session ${JSON.stringify(session.name)} to verify`);
  const streams = [];
  for (const { stream } of found.streams) streams.push(await factsOfStream(db, stream));
  const total = streams.reduce((sum, { last }) => sum + Number(last ?? 0), 0);
  for (const facts of streams) {
    verification.streams([facts]);
    const { stream } = facts;
    for await (const done of walk(db, verification, { stream, seq: LOWEST, id: LOWEST }, stream)) yield { done, total };
  }
  verification.endStreams();
  checkSession(found, verification.report);
}

/** Yields how many events have been checked so far. While some are checked the next are read. */
async function* walk(db: Tx, verification: Verification, after: EventCursor, upTo: string): AsyncGenerator<number> {
  const pages = read(db, after, upTo);
  let reading = ahead(pages.next());
  try {
    for (let page = await reading; !page.done; page = await reading) {
      reading = ahead(pages.next());
      for (let i = 0; i < page.value.length; i += SLICE) {
        for (const event of page.value.slice(i, i + SLICE)) verification.event(event);
        await new Promise(setImmediate);
      }
      await explainSome(db, verification.payload);
      yield verification.report.events;
    }
  } finally {
    await reading.catch(() => undefined);
  }
}

async function* read(db: Tx, after: EventCursor, upTo: string): AsyncGenerator<EventFacts[], void> {
  for (let from: EventCursor | null = after; from !== null; ) {
    const { rows, next }: Awaited<ReturnType<typeof eventsAfter>> = await eventsAfter(db, from, upTo);
    for (const some of inBounds(rows)) yield await completed(db, some);
    from = next;
  }
}

/** It is awaited only after the page before it: until then a failure is nobody's. */
function ahead<T>(reading: Promise<T>): Promise<T> {
  reading.catch(() => undefined);
  return reading;
}

async function walkStrays(db: Tx, { payload, sequence, report }: Verification): Promise<void> {
  for (let after: string | null = LOWEST; after !== null; ) {
    const { orphans, next }: Awaited<ReturnType<typeof orphanedPayloads>> = await orphanedPayloads(db, after);
    for (const orphan of orphans) payload.orphan(orphan.event, orphan);
    after = next;
  }
  const { pending, open } = await strays(db);
  for (const id of pending) sequence.strayPending(id);
  for (const { id, stream } of open) {
    report.invalid(
      'open requests',
      { event_id: id, stream, seq: null },
      `open_request has a row for ${JSON.stringify(id)} in a stream that does not exist`,
    );
  }
}

async function walkOrder(db: Tx, { sequence, tree }: Verification): Promise<void> {
  tree.signed(
    await signedCheckpoints(db),
    (await logKeys(db)).map(({ vkey }) => vkey),
  );
  const { sequencer, last, now } = await orderNow(db);
  let after: { idx: string; event: string } | null = { idx: LOWEST, event: LOWEST };
  while (after !== null && last !== null) {
    const { leaves, next }: Awaited<ReturnType<typeof leavesAfter>> = await leavesAfter(db, after, last);
    for (const leaf of leaves) {
      sequence.ordered(leaf);
      tree.leaf(leaf);
    }
    for (const { stored, ...node } of await storedNodes(db, tree.takeWhole())) tree.node(node, stored);
    after = next;
  }
  sequence.end(sequencer);
  tree.end(now);
}

async function walkSessions(db: Tx, { report }: Verification): Promise<void> {
  for (let after: { tenant: string; name: string } | null = { tenant: '', name: '' }; after !== null; ) {
    const { sessions, next }: Awaited<ReturnType<typeof sessionsAfter>> = await sessionsAfter(db, after);
    for (const session of sessions) checkSession(session, report);
    after = next;
  }
}

async function lookAgain(db: Tx, { sequence }: Verification): Promise<void> {
  const late = await stillPending(db, sequence.late());
  if (late.length === 0) return;
  await new Promise((wake) => setTimeout(wake, SECOND_LOOK_MS));
  sequence.stillLate(await stillPending(db, late));
}
