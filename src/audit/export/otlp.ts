/**
 * Contracts as spans, in the JSON of OTLP (ExportTraceServiceRequest), named by the GenAI conventions of OpenTelemetry as far as they apply.
 * What the caller's trace was is in the record; a span's own id is made of the REQUEST's, so that an export made twice gives the same spans.
 */
import { hash } from 'node:crypto';
import type { JsonValue } from '../../kernel/json.js';
import { type ContractEvidence, ContractPairs, type Evidence, membersOf } from './evidence.js';

export async function* otlp(evidence: AsyncIterable<Evidence>): AsyncGenerator<string> {
  const pairs = new ContractPairs();
  let before = '';
  for await (const piece of evidence) {
    if (piece.kind === 'opening') yield head(piece.made_by);
    if (piece.kind !== 'event' || piece.context) continue;
    const contract = pairs.take(membersOf(piece.record));
    if (!contract) continue;
    yield `${before}\n${JSON.stringify(span(contract))}`;
    before = ',';
  }
  for (const contract of pairs.rest()) {
    yield `${before}\n${JSON.stringify(span(contract))}`;
    before = ',';
  }
  yield '\n]}]}]}\n';
}

function head(madeBy: string): string {
  const [name = '', version = ''] = madeBy.split(' ');
  const resource = JSON.stringify({ attributes: [text('service.name', name), text('service.version', version)] });
  return `{"resourceSpans":[{"resource":${resource},"scopeSpans":[{"scope":${JSON.stringify({ name: `${name}.export`, version })},"spans":[`;
}

const text = (key: string, value: string) => ({ key, value: { stringValue: value } });

const [CLIENT, OK, ERROR] = [3, 1, 2];

/** A contract that has no RESPONSE ends when it began, and has no status. */
export function span({ request, response, after }: ContractEvidence): JsonValue {
  const { id, stream, to, capability, task } = request;
  const failed = response !== null && response.status !== 'completed';
  return {
    traceId: traceOf(request),
    spanId: spanOf(id),
    name: to === undefined ? 'invoke_agent' : `invoke_agent ${to}`,
    kind: CLIENT,
    startTimeUnixNano: nanos(request.time),
    endTimeUnixNano: nanos((response ?? request).time),
    attributes: [
      text('gen_ai.operation.name', 'invoke_agent'),
      ...(to === undefined ? [] : [text('gen_ai.agent.id', to)]),
      ...(request.to_version === undefined ? [] : [text('gen_ai.agent.version', request.to_version)]),
      text('gen_ai.conversation.id', stream),
      ...(capability === undefined ? [] : [text('agent_orchestrator.capability', capability)]),
      ...(task === undefined ? [] : [text('agent_orchestrator.task', task)]),
      text('agent_orchestrator.contract', id),
      text('agent_orchestrator.status', response?.status ?? 'pending'),
      ...(failed ? [text('error.type', response.error_code ?? response.status ?? '_OTHER')] : []),
    ],
    ...(after !== null && { links: [{ traceId: traceOf(request), spanId: spanOf(after) }] }),
    status: response === null ? {} : { code: failed ? ERROR : OK },
  };
}

/** The trace the caller gave, else one made of the task. */
const traceOf = ({ trace, task, id }: ContractEvidence['request']) => trace ?? hash('sha256', task ?? id, 'hex').slice(0, 32);
const spanOf = (contract: string) => hash('sha256', contract, 'hex').slice(0, 16);
const nanos = (time: string) => `${Date.parse(time)}000000`;
