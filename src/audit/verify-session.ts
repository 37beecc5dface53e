/** Names of sessions against the streams they stand for. Neither the name nor its disclosure may reach a finding: both can be erased. */
import { type PayloadFact, readDisclosure, tenantOf } from './verify-payload.js';
import { type Report, show } from './verify-report.js';

/** A row of `session`, with what is known of the first event of each of its streams, the earlier ones included. */
export interface SessionFacts {
  readonly tenant: string;
  readonly name: string;
  readonly streams: readonly {
    readonly stream: string;
    readonly first: { readonly id: string; readonly payload: readonly PayloadFact[] } | null;
  }[];
}

export function checkSession({ tenant, name, streams }: SessionFacts, report: Report): void {
  report.count('sessions');
  for (const { stream, first } of streams) {
    const at = { event_id: first?.id ?? null, stream, seq: first ? 1 : null };
    if (tenantOf(stream) !== tenant || !stream.startsWith(`${tenant}/session/`)) {
      report.invalid(
        'sessions',
        at,
        `the table session gives tenant ${show(tenant)} stream ${show(stream)}, which is no session of that tenant`,
      );
    }
    if (first === null) {
      report.invalid('sessions', at, `the table session names stream ${show(stream)}, which has no first event`);
      continue;
    }
    const disclosed = first.payload.find((row) => row.name === 'session' && !row.sealed);
    if (disclosed && readDisclosure(disclosed.bytes)?.[2] !== name) {
      report.invalid('sessions', at, `the table session gives stream ${show(stream)} another name than the one its first event discloses`);
    }
  }
}
