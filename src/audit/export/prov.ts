/**
 * Contracts in the words of W3C PROV, as PROV-JSON writes them. It explains who did what with what; the integrity comes from the leaf
 * hashes it carries. No payload is in it, only the digests that stand for it.
 */
import type { JsonValue } from '../../kernel/json.js';
import { recordHash } from '../../ledger/record.js';
import type { ContractEvidence, RecordMembers, Scope } from './evidence.js';

/** Kinds of statements, which PROV-JSON groups. */
export const PROV_KINDS = [
  'entity',
  'activity',
  'agent',
  'used',
  'wasGeneratedBy',
  'wasInvalidatedBy',
  'wasDerivedFrom',
  'wasInformedBy',
  'wasAssociatedWith',
  'wasAttributedTo',
  'actedOnBehalfOf',
] as const;
export type ProvKind = (typeof PROV_KINDS)[number];

/** Each id once within its kind; whoever writes them down leaves out what he has written already. */
export interface ProvStatement {
  readonly kind: ProvKind;
  readonly id: string;
  readonly is: Readonly<Record<string, JsonValue>>;
}

export const PROV_PREFIXES = { ao: 'urn:agent-orchestrator:', xsd: 'http://www.w3.org/2001/XMLSchema#' };

const type = (name: string) => ({ 'prov:type': { $: name, type: 'prov:QUALIFIED_NAME' } });
const ORCHESTRATOR = 'ao:orchestrator';

/** The session as a PROV bundle; null where no session was exported. */
export function bundleOf(scope: Scope): string | null {
  return scope.kind === 'session' ? `ao:session-${scope.streams[0]!.split('/').at(-1)}` : null;
}

/** A record, as an entity of its own. */
export function provOfRecord(record: string, { id, stream, seq, type: kind, time }: RecordMembers, idx: number | null): ProvStatement {
  return {
    kind: 'entity',
    id: `ao:record-${id}`,
    is: {
      ...type('ao:Record'),
      'ao:type': kind,
      'ao:stream': stream,
      'ao:seq': seq,
      'ao:recordedAt': { $: time, type: 'xsd:dateTime' },
      'ao:leafHash': recordHash(Buffer.from(record, 'utf8')).toString('hex'),
      ...(idx !== null && { 'ao:leafIndex': idx }),
    },
  };
}

export function provOfContract({ request, response, after }: ContractEvidence): ProvStatement[] {
  const activity = `ao:contract-${request.id}`;
  const agent = request.to === undefined ? null : agentId(request);
  return [
    {
      kind: 'activity',
      id: activity,
      is: {
        ...type('ao:Contract'),
        'prov:startTime': request.time,
        ...(response && { 'prov:endTime': response.time }),
        'ao:status': response?.status ?? 'pending',
        ...(response?.error_code !== undefined && { 'ao:errorCode': response.error_code }),
        ...(request.capability !== undefined && { 'ao:capability': request.capability }),
        ...(request.task !== undefined && { 'ao:task': request.task }),
      },
    },
    ...input(request, activity),
    ...(response ? output(request, response, activity) : []),
    ...(agent ? serving(request, agent, activity) : []),
    ...(after === null
      ? []
      : [relation('wasInformedBy', activity, { 'prov:informed': activity, 'prov:informant': `ao:contract-${after}` })]),
  ];
}

const agentId = ({ to, to_version }: RecordMembers) => `ao:agent-${to}${to_version === undefined ? '' : `-${to_version}`}`;

const relation = (kind: ProvKind, of: string, is: ProvStatement['is']): ProvStatement => ({ kind, id: `_:${kind}-${of.slice(3)}`, is });

/** What an erasure took away of events. */
export function provOfErasure({ id, time }: RecordMembers, erased: readonly string[]): ProvStatement[] {
  const activity = `ao:erasure-${id}`;
  return [
    { kind: 'activity', id: activity, is: { ...type('ao:Erasure'), 'prov:endTime': time } },
    ...erased.filter(isEvent).map((event) => {
      const entity = payloadId(event);
      return relation('wasInvalidatedBy', entity, { 'prov:entity': entity, 'prov:activity': activity, 'prov:time': time });
    }),
  ];
}

const isEvent = (erased: string) => !erased.includes('/');
const payloadId = (event: string) => `ao:payload-${event}`;

const payload = ({ id, _sd = [] }: RecordMembers): ProvStatement => ({
  kind: 'entity',
  id: payloadId(id),
  is: { ...type('ao:Payload'), 'ao:digest': [..._sd] },
});

function input(request: RecordMembers, activity: string): ProvStatement[] {
  const [entity, record] = [payloadId(request.id), `ao:record-${request.id}`];
  return [
    payload(request),
    relation('used', activity, { 'prov:activity': activity, 'prov:entity': entity, 'prov:time': request.time }),
    relation('wasDerivedFrom', record, { 'prov:generatedEntity': record, 'prov:usedEntity': entity }),
  ];
}

function output(request: RecordMembers, response: RecordMembers, activity: string): ProvStatement[] {
  const [entity, record] = [payloadId(response.id), `ao:record-${response.id}`];
  return [
    payload(response),
    relation('wasGeneratedBy', entity, { 'prov:entity': entity, 'prov:activity': activity, 'prov:time': response.time }),
    relation('wasDerivedFrom', entity, {
      'prov:generatedEntity': entity,
      'prov:usedEntity': payloadId(request.id),
      'prov:activity': activity,
    }),
    relation('wasDerivedFrom', record, { 'prov:generatedEntity': record, 'prov:usedEntity': entity }),
    ...(request.to === undefined ? [] : [relation('wasAttributedTo', entity, { 'prov:entity': entity, 'prov:agent': agentId(request) })]),
  ];
}

function serving(request: RecordMembers, agent: string, activity: string): ProvStatement[] {
  const plan = request.to_record === undefined ? null : `ao:description-${request.to_record}`;
  return [
    { kind: 'agent', id: agent, is: { ...type('prov:SoftwareAgent'), 'ao:agentId': request.to!, 'ao:version': request.to_version ?? '' } },
    { kind: 'agent', id: ORCHESTRATOR, is: type('prov:SoftwareAgent') },
    ...(plan === null ? [] : [{ kind: 'entity' as const, id: plan, is: { ...type('prov:Plan'), 'ao:leafHash': request.to_record! } }]),
    relation('wasAssociatedWith', activity, { 'prov:activity': activity, 'prov:agent': agent, ...(plan && { 'prov:plan': plan }) }),
    relation('actedOnBehalfOf', activity, { 'prov:delegate': agent, 'prov:responsible': ORCHESTRATOR, 'prov:activity': activity }),
  ];
}
