import { Agent } from 'agent-orchestrator';

/** Never answers the same twice. */
export default class FickleAgent extends Agent {
  description = {
    agent_id: 'fickle',
    name: 'Fickle Agent',
    version: '1.0.0',
    capabilities: [
      { name: 'counts', replay_safe: true, output_schema: { type: 'object', properties: { n: { type: 'integer' } }, required: ['n'] } },
      { name: 'once', replay_safe: true },
      { name: 'pays' },
    ],
  };

  calls = { counts: 0, once: 0, pays: 0 };

  async execute({ capability }) {
    const n = ++this.calls[capability];
    if (capability === 'once' && n > 1) return { success: false, error: 'only once' };
    return { success: true, data: { n } };
  }
}
