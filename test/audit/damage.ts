/** Tables of damage: what is done to a sound ledger, and who must be named for it. */
import type { CheckName, Finding } from '../../src/audit/verify-verdict.js';
import { type PaperEvent, soundLedger } from './paper-ledger.js';

export type Sound = ReturnType<typeof soundLedger>;
type Named = Exclude<keyof Sound, 'ledger'> | { event_id?: string; stream?: string; seq?: number; idx?: number };
export type Damage = [claim: string, check: CheckName, damage: (sound: Sound) => unknown, named: Named, says: RegExp];

/** Does the damage and expects the verdict to name exactly that event, or that place where there is no event. */
export function expectNamed([, check, damage, named, says]: Damage, severity: Finding['severity']): void {
  const sound = soundLedger();
  damage(sound);
  const verdict = sound.ledger.verdict();
  const place = typeof named === 'string' ? placeOf(sound[named]) : { event_id: null, stream: null, seq: null, ...named };
  expect(verdict.verdict).toBe(severity);
  expect(verdict.first).toMatchObject({ ...place, check, severity, what: expect.stringMatching(says) });
  expect(verdict.checks.find((c) => c.name === check)).toMatchObject({ result: 'fail', note: expect.stringContaining(severity) });
}

const placeOf = ({ row }: PaperEvent) => ({ event_id: row.event_id, stream: row.stream, seq: Number(row.seq) });

export const put = <T extends object>(target: T, changes: Partial<T>): T => Object.assign(target, changes);
