import { Agent } from 'agent-orchestrator';

const text = { type: 'object', properties: { text: { type: 'string' } }, required: ['text'] };
const message = { type: 'object', properties: { message: { type: 'string' } }, required: ['message'] };

/** The agent of the first five minutes, and a template for your own: copy it, change it, name the copy in agents.json. */
export default class ExampleAgent extends Agent {
  description = {
    agent_id: 'agent_example_001',
    name: 'Example Agent',
    description: 'Repeats a text or puts it into capital letters',
    version: '1.0.0',
    capabilities: [
      {
        name: 'echo',
        description: 'Repeats the text',
        input_schema: text,
        output_schema: message,
        examples: [{ text: 'Hello, world!' }],
        replay_safe: true,
      },
      {
        name: 'uppercase',
        description: 'Puts the text into capital letters',
        input_schema: text,
        output_schema: message,
        examples: [{ text: 'hello' }],
        replay_safe: true,
      },
    ],
  };

  /** What arrives here fits the input schema. */
  async execute({ capability, parameters }) {
    switch (capability) {
      case 'echo':
        return { success: true, data: { message: `Echo: ${parameters.text}` } };
      case 'uppercase':
        return { success: true, data: { message: parameters.text.toUpperCase() } };
      default:
        return { success: false, error: `unknown capability "${capability}"` };
    }
  }
}
