import { Agent } from 'agent-orchestrator';

const text = { type: 'object', properties: { text: { type: 'string', maxLength: 10 } }, required: ['text'], additionalProperties: false };
const counted = { type: 'object', properties: { count: { type: 'integer' } }, required: ['count'] };

/** Says what it takes and gives; whether it keeps its word is up to `parameters`. */
export default class Promising extends Agent {
  description = {
    agent_id: 'promising',
    name: 'Promising',
    capabilities: [
      { name: 'takes-a-text', input_schema: text },
      { name: 'gives-a-count', output_schema: counted },
      { name: 'takes-what-backtracks', input_schema: { properties: { text: { pattern: '^(a+)+$' } } } },
    ],
  };
  calls = 0;

  async execute({ parameters }) {
    this.calls += 1;
    if (parameters.refuse) return { success: false, error: 'no', data: { count: 'none' } };
    return { success: true, data: parameters.give === undefined ? { calls: this.calls } : parameters.give };
  }
}
