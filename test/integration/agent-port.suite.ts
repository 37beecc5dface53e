/**
 * What every way of calling an agent must do, whatever the protocol. Run by each adapter against a real agent of its own, which has the
 * skills named below.
 */
import { type AgentClient, type Answer, type CallOptions, type Progress, Stop } from '../../src/agents/agent-client.js';
import type { JsonValue } from '../../src/kernel/json.js';

export interface PortPeer {
  readonly client: AgentClient;
  /** The ids of calls the agent got to know are not wanted any more. */
  readonly cancelled: () => readonly string[];
  /** Of the latest call: the id the agent knows it by. */
  readonly lastId: () => string | undefined;
  /** Ends the agent, or brings it back at the same address. */
  readonly stop?: () => Promise<void>;
  readonly start?: () => Promise<void>;
  readonly close: () => Promise<void>;
}

/** What the agent does when it is asked for it. */
export const SKILLS = {
  echo: 'answers the parameters as structured data',
  slow: 'answers {"slow": true} after half a second',
  hang: 'never answers',
  fail: 'answers with an error that says "no such planet"',
  words: 'answers well, with the words "Error: out of cheese"',
  huge: 'answers more than 4 MiB',
  garbage: 'answers what is nothing of its protocol',
  half: 'dies half-way through its answer',
  progress: 'says "Hel" and "lo" before it answers {"said": "Hello"}',
} as const;
export type SkillName = keyof typeof SKILLS;

/** `without`: what the protocol has no place for; `close`: nothing can be hung up. */
export function agentPortSuite(
  name: string,
  start: () => Promise<PortPeer>,
  without: readonly (SkillName | 'restart' | 'close')[] = [],
): void {
  describe(`an agent called ${name}`, () => {
    let peer: PortPeer;
    let calls = 0;
    beforeAll(async () => {
      peer = await start();
    });
    afterAll(async () => {
      await peer.client.close();
      await peer.close();
    });

    const call = (
      capability: SkillName,
      parameters: Record<string, JsonValue> = {},
      options: Partial<CallOptions> = {},
    ): Promise<Answer> => {
      const task = { task_id: `01K0000000000000000000${String(++calls).padStart(4, '0')}`, capability, parameters, context: {} };
      return peer.client.call(task, { stop: new Stop(), trace: null, ...options });
    };
    const can = (skill: (typeof without)[number]) => (without.includes(skill) ? it.skip : it);

    it('answers with structured data', async () => {
      const parameters = { text: 'grüße \u0000 🪐', list: [1, 2.5, null, true], deep: { a: { b: [] } } };
      expect(await call('echo', parameters)).toMatchObject({ success: true, data: parameters });
    });

    it('is told the id of the contract', async () => {
      await call('echo', { a: 1 });
      expect(peer.lastId()).toBe(`01K0000000000000000000${String(calls).padStart(4, '0')}`);
    });

    it('is waited for', async () => {
      const from = performance.now();
      expect(await call('slow')).toMatchObject({ success: true, data: { slow: true } });
      expect(performance.now() - from).toBeGreaterThan(450);
    });

    it('answers many calls at once, each its own', async () => {
      const answers = await Promise.all(Array.from({ length: 20 }, (_, i) => call('echo', { i, twice: 2 * i })));
      expect(answers.map((answer) => answer.success && answer.data)).toEqual(answers.map((_, i) => ({ i, twice: 2 * i })));
    });

    it('is left as soon as the call is stopped, and told so', async () => {
      const stop = new Stop();
      const answer = call('hang', {}, { stop });
      const id = `01K0000000000000000000${String(calls).padStart(4, '0')}`;
      await new Promise((after) => setTimeout(after, 300));
      const from = performance.now();
      stop.stop(new Error('nobody waits any more'));
      expect(await answer).toMatchObject({ success: false });
      expect(performance.now() - from).toBeLessThan(900); // the agent has a second to take note
      await expect(within(10_000, () => peer.cancelled().includes(id))).resolves.toBe(true);
    });

    it('is not waited for if the call is stopped before it began', async () => {
      const stop = new Stop();
      stop.stop(new Error('too late'));
      const from = performance.now();
      expect(await call('hang', {}, { stop })).toMatchObject({ success: false });
      expect(performance.now() - from).toBeLessThan(900);
    });

    it('fails with the reason it gives', async () => {
      expect(await call('fail')).toMatchObject({
        success: false,
        code: 'agent_failed',
        message: expect.stringContaining('no such planet'),
      });
    });

    it('has not failed because its words look like an error', async () => {
      const answer = await call('words');
      expect(answer.success).toBe(true);
      expect(JSON.stringify(answer)).toContain('Error: out of cheese');
    });

    it('fails if it answers more than 4 MiB', async () => {
      expect(await call('huge')).toMatchObject({ success: false, code: 'agent_response_too_large' });
    });

    can('garbage')('fails if it answers what is nothing of its protocol', async () => {
      const answer = await call('garbage');
      expect(answer).toMatchObject({ success: false, code: 'agent_invalid_response', message: expect.any(String) });
    });

    can('half')(
      'fails if it dies half-way',
      async () => {
        const answer = await call('half');
        expect(answer).toMatchObject({ success: false, code: 'agent_unreachable' });
        expect('fault' in answer && answer.fault?.untouched).toBeFalsy(); // perhaps it has acted
      },
      15_000,
    );

    can('progress')('tells how far it is', async () => {
      const told: Progress[] = [];
      const answer = await call('progress', {}, { progress: (progress) => told.push(progress) });
      expect(answer).toMatchObject({ success: true, data: { said: 'Hello' } });
      expect(told.flatMap((progress) => ('delta' in progress ? progress.delta : []))).toEqual(['Hel', 'lo']);
    });

    it('is healthy', async () => {
      expect(await peer.client.health()).toEqual({ status: 'healthy', error: null });
    });

    can('restart')('cannot be reached while it is away, and is called again when it is back', async () => {
      await peer.stop!();
      expect(await call('echo', { a: 1 })).toMatchObject({ success: false, code: 'agent_unreachable' });
      // No connection is left that it could have been heard over: certainly it has not acted.
      expect(await call('echo', { a: 1 })).toMatchObject({ success: false, code: 'agent_unreachable', fault: { untouched: true } });
      expect(await peer.client.health()).toMatchObject({ status: 'unhealthy', error: expect.any(String) });
      await peer.start!();
      expect(await call('echo', { a: 1, b: 2 })).toMatchObject({ success: true, data: { a: 1, b: 2 } });
      expect(await peer.client.health()).toEqual({ status: 'healthy', error: null });
    });

    can('close')('is left by whoever closes the client', async () => {
      const answer = call('hang');
      await new Promise((after) => setTimeout(after, 100));
      await peer.client.close();
      expect(await answer).toMatchObject({ success: false });
    });
  });
}

/** Whether that became true in time. */
export async function within(ms: number, condition: () => boolean): Promise<boolean> {
  for (const until = performance.now() + ms; performance.now() < until; ) {
    if (condition()) return true;
    await new Promise((after) => setTimeout(after, 10));
  }
  return condition();
}
