/** One run at a BeeAI agent, as far as it has been heard of. */
import type { Answer, CallOptions } from '../../../agents/agent-client.js';
import type { JsonValue } from '../../../kernel/json.js';
import { answered, deltaOf, Event, Run, wordsOf } from './beeai.js';
import type { OpenRun } from './open-run.client.js';
import { eventData, invalid, issueOf } from './reading.client.js';

export class BeeAiRun {
  /** Null until the run ended, or said what cannot be believed. */
  answer: Answer | null = null;

  constructor(
    private readonly agent: string,
    public id: string | null,
    private readonly told: { readonly open: OpenRun; readonly progress: CallOptions['progress'] },
  ) {}

  /** An event; true if it was the last that matters. */
  hear(data: string): boolean {
    const json = eventData(data);
    const event = Event.safeParse(json).data;
    if (!event) this.answer = invalid('the stream has an event that cannot be read', json);
    else if (event.type === 'error') {
      const message = wordsOf(event.error ?? null) ?? 'the agent gave no reason';
      this.answer = { success: false, code: 'agent_failed', message, raw: json };
    } else if (event.run !== undefined) this.take(event.run, !['run.created', 'run.in-progress'].includes(event.type));
    else if (event.type === 'message.part' && event.part) {
      const delta = deltaOf(event.part);
      if (delta !== null) this.told.progress?.({ delta });
    }
    return this.answer !== null;
  }

  /** The run as the agent says it stands. What comes with an event that ends nothing (`ends`) is the run at some other time, perhaps. */
  take(json: JsonValue, ends = true): void {
    const run = Run.safeParse(json);
    if (!run.success) {
      this.answer = invalid(`the run cannot be read: ${issueOf(run.error)}`, json);
      return;
    }
    const { run_id, agent_name, status } = run.data;
    if (agent_name !== this.agent) this.answer = invalid(`the agent answers for the agent "${agent_name.slice(0, 100)}"`, json);
    else if (this.id !== null && run_id !== this.id)
      this.answer = invalid(`the agent answers for another run, ${run_id} instead of ${this.id}`, json);
    else {
      this.id = run_id;
      this.told.open.named(run_id);
      this.told.progress?.({ status });
      if (ends) this.answer = answered(run.data, json);
    }
  }
}
