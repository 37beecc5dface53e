/** The part of the demo about protocols: agents that each speak another one are started, registered by nothing but their address, and asked. */

import { OrchestratorError } from '../kernel/errors.js';
import type { Narrator } from './demo-narrator.cli.js';
import type { Stage } from './demo-stage.system.js';
import type { TaskBody } from './orchestrator.client.js';

interface Example {
  /** Its folder in examples/agents. */
  readonly name: string;
  readonly task: { readonly capability: string; readonly parameters: Record<string, string | number> };
  /** Stands in its answer. */
  readonly answers: string;
}

const EXAMPLES: readonly Example[] = [
  { name: 'http-greeter', task: { capability: 'greet', parameters: { name: 'Ada' } }, answers: 'Hello, Ada!' },
  { name: 'a2a-math', task: { capability: 'add', parameters: { a: 1, b: 2 } }, answers: '"result":3' },
  {
    name: 'acp-agntcy-math',
    task: { capability: 'example.math', parameters: { operation: 'subtract', a: 7, b: 2 } },
    answers: '"result":5',
  },
  { name: 'acp-beeai-greeter', task: { capability: 'greeter', parameters: { text: 'Ada' } }, answers: 'Hello, Ada!' },
  {
    name: 'acp-invoke-greeter',
    task: { capability: 'generate_greeting', parameters: { name: 'Ada', language: 'fr' } },
    answers: 'Bonjour, Ada!',
  },
  { name: 'mcp-math', task: { capability: 'multiply', parameters: { a: 6, b: 7 } }, answers: '"result":42' },
];

type Started = Example & { readonly address: string };

export class DemoProtocols {
  constructor(
    private readonly stage: Stage,
    private readonly narrator: Narrator,
    private readonly json: boolean,
  ) {}

  async play(url: string, signal: AbortSignal): Promise<void> {
    const started = await this.start(signal);
    await this.register(url, started);
    await this.ask(url, started, signal);
  }

  private async start(signal: AbortSignal): Promise<Started[]> {
    let started: Started[] = [];
    const typed = EXAMPLES.map(({ name }) => `PORT=0 node examples/agents/${name}/agent.mjs &`);
    await this.narrator.step('Agents of teams that never heard of each other: each speaks another protocol', typed, async () => {
      const addresses = await Promise.all(EXAMPLES.map(({ name }) => this.address(name, signal)));
      started = EXAMPLES.flatMap((example, i) => (addresses[i] ? [{ ...example, address: addresses[i] }] : []));
      const lines = EXAMPLES.map(
        ({ name }, i) => `${name.padEnd(18)} ${addresses[i] ?? 'is left out: npm install would bring what it needs'}`,
      );
      return { answer: this.json ? started.map(({ name, address }) => ({ name, address })) : lines.join('\n') };
    });
    return started;
  }

  /** null: it needs packages that an installation without development packages does not have. */
  private async address(name: string, signal: AbortSignal): Promise<string | null> {
    try {
      return await this.stage.peer(`agents/${name}/agent.mjs`, signal);
    } catch (error) {
      if ((error as Error).message.includes('ERR_MODULE_NOT_FOUND')) return null;
      throw error;
    }
  }

  private register(url: string, started: readonly Started[]): Promise<void> {
    const typed = started.map(({ address }) => curl(`${url}/v1/agents`, { url: address }));
    return this.narrator.step('Their addresses are enough: what they speak and can do is found out', typed, async () => {
      const [{ AgentsClient }, client] = await Promise.all([import('./agents.client.js'), clientOf(url)]);
      const agents = new AgentsClient(client);
      const told = await Promise.all(started.map(({ address }) => agents.register({ url: address })));
      const lines = told.flatMap((answer) =>
        answer.agents.map(({ agent_id, protocol, capabilities }) => {
          const offers = capabilities.map(({ name }) => name).join(', ');
          return `${agent_id.padEnd(16)} speaks ${protocol.padEnd(12)} and offers ${offers}`;
        }),
      );
      return { answer: this.json ? told.flatMap((answer) => answer.agents) : lines.join('\n') };
    });
  }

  private ask(url: string, started: readonly Started[], signal: AbortSignal): Promise<void> {
    const bodies = started.map(({ task }): TaskBody => ({ session_id: 'protocols', ...task }));
    const typed = bodies.map((body) => curl(`${url}/v1/orchestrate`, body));
    return this.narrator.step('One way to ask them all, and every call is on the record', typed, async () => {
      const client = await clientOf(url);
      const answers = await Promise.all(bodies.map((body) => client.orchestrate(body, { signal })));
      answers.forEach((answer, i) => {
        const { name, answers: expected } = started[i]!;
        if (answer.success && JSON.stringify(answer.data).includes(expected)) return;
        throw new OrchestratorError('internal', `${name} answered ${JSON.stringify(answer)}`);
      });
      const lines = answers.map(({ agent_id, data }) => `${(agent_id ?? '').padEnd(16)} ${JSON.stringify(data)}`);
      return { answer: this.json ? answers : lines.join('\n') };
    });
  }
}

export const curl = (url: string, body: object) => `curl -s ${url} -H 'content-type: application/json' -d '${JSON.stringify(body)}' | jq`;

export async function clientOf(url: string) {
  const { OrchestratorClient } = await import('./orchestrator.client.js');
  return new OrchestratorClient({ url, from: 'the demo' });
}
