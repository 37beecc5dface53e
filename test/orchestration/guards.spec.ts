import type { RegisteredAgent } from '../../src/agents/directory.js';
import type { AgentLimits } from '../../src/agents/registration.js';
import { readConfig } from '../../src/config.js';
import { type Guard, Guards } from '../../src/orchestration/guards.system.js';

/** A clock of our own: nothing here waits. */
let now = 0;
let told: string[] = [];
beforeEach(() => {
  now = 0;
  told = [];
});

const described = (limits: AgentLimits, record = 'first') => ({ description: { agent_id: 'a', ...limits }, record }) as RegisteredAgent;
const guards = (settings: Record<string, string> = {}) =>
  new Guards(
    readConfig(settings),
    (agent, to, reason) => told.push(`${agent} ${to}: ${reason}`),
    () => now,
  );
const guard = (limits: AgentLimits = {}): Guard => guards().at(described(limits));

/** One call that goes so; how it was let through. */
function call(own: Guard, well: boolean | null, how = 'agent_unreachable') {
  const pass = own.enter();
  if (pass === 'call' || pass === 'probe') own.leave(pass, well, how);
  return pass;
}
const calls = (own: Guard, wells: (boolean | null)[]) => wells.map((well) => call(own, well));
const alternately = (n: number) => Array.from({ length: n }, (_, i) => i % 2 === 0);

describe('the breaker of an agent', () => {
  it('opens after five failures in a row, and says why', () => {
    const own = guard();
    expect(calls(own, [false, false, false, false, true, false, false, false, false])).not.toContain('breaker_open');
    expect([own.condition.breaker, told]).toEqual(['closed', []]);
    expect(calls(own, [false, false])).toEqual(['call', 'breaker_open']);
    expect([own.condition.breaker, told]).toEqual(['open', ['a open: 5 calls in a row failed, the last one agent_unreachable']]);
  });

  it('opens when half of the latest twenty failed, not before there were twenty, nor for less', () => {
    const own = guard();
    expect(calls(own, alternately(19))).toEqual(Array(19).fill('call'));
    call(own, true); // 9 of 20
    expect(own.condition.breaker).toBe('closed');
    const other = guard();
    calls(other, alternately(20));
    expect([other.condition.breaker, told]).toEqual([
      'open',
      ['a open: too many of the latest 20 calls failed, the last one agent_unreachable'],
    ]);
  });

  it('passes over calls that say nothing', () => {
    const own = guard();
    calls(own, [false, false, null, false, null, false]);
    expect(own.condition.breaker).toBe('closed');
    call(own, false);
    expect(own.condition.breaker).toBe('open');
  });

  const opened = (limits: AgentLimits = {}) => {
    const own = guard(limits);
    calls(own, Array(5).fill(false));
    return own;
  };

  it('lets one call through after a minute, and closes when that goes well', () => {
    const own = opened();
    now = 59_999;
    expect([own.enter(), own.condition.breaker]).toEqual(['breaker_open', 'open']);
    now = 60_000;
    expect([own.condition.breaker, own.enter()]).toEqual(['half_open', 'probe']);
    expect([own.enter(), own.condition.breaker, own.shown.breaker]).toEqual(['breaker_open', 'open', 'half_open']); // one at a time
    own.leave('probe', true);
    expect([own.enter(), own.condition.breaker, told.at(-1)]).toEqual(['call', 'closed', 'a closed: a call went well again']);
  });

  it('waits another minute when that fails, without telling it again', () => {
    const own = opened();
    now = 60_000;
    expect(call(own, false)).toBe('probe');
    now = 119_999;
    expect(own.enter()).toBe('breaker_open');
    now = 120_000;
    expect([call(own, true), own.condition.breaker, told.length]).toEqual(['probe', 'closed', 2]);
  });

  it('lets another through when the one said nothing', () => {
    const own = opened();
    now = 60_000;
    expect(calls(own, [null, null, true, true])).toEqual(['probe', 'probe', 'probe', 'call']);
  });

  it('is not moved by calls that began before it opened', () => {
    const own = guard();
    const early = [own.enter(), own.enter()];
    calls(own, Array(5).fill(false));
    own.leave(early[0] as 'call', true);
    now = 60_000;
    expect([own.condition.breaker, own.enter()]).toEqual(['half_open', 'probe']);
    own.leave(early[1] as 'call', false);
    expect(own.shown.breaker).toBe('half_open');
    own.leave('probe', true);
    expect(own.condition.breaker).toBe('closed');
  });

  it('begins anew when it has closed', () => {
    const own = opened();
    now = 60_000;
    calls(own, [true, false, false, false, false]);
    expect(own.condition.breaker).toBe('closed');
  });

  it('goes by what the agent is registered with before the settings', () => {
    const own = guard({ breaker: { failures: 2, pause_seconds: 0.5 } });
    calls(own, [false, false]);
    expect(own.enter()).toBe('breaker_open');
    now = 500;
    expect(own.enter()).toBe('probe');
    const set = guards({ BREAKER_FAILURES: '3', BREAKER_PAUSE_SECONDS: '2' }).at(described({}));
    calls(set, [false, false, false]);
    now = 2400;
    expect(set.enter()).toBe('breaker_open');
    now = 2500;
    expect(set.enter()).toBe('probe');
  });

  it('is another one once the agent is described anew', () => {
    const all = guards();
    calls(all.at(described({})), Array(5).fill(false));
    expect(all.of('a').breaker).toBe('open');
    expect(all.of('a', 'second').breaker).toBe('closed'); // or nobody would ever choose it, and find out
    expect(all.at(described({}, 'second')).enter()).toBe('call');
    expect(told.at(-1)).toBe('a closed: the agent is described anew');
  });

  it('hears nothing any more of calls made before it was described anew', () => {
    const all = guards();
    const old = all.at(described({}));
    const passes = Array.from({ length: 5 }, () => old.enter());
    all.at(described({}, 'second'));
    const before = told.length;
    for (const pass of passes) old.leave(pass as 'call', false);
    expect(told.slice(before)).toEqual([]);
  });
});

describe('the bulkhead of an agent', () => {
  const wakes = (own: Guard) => {
    const woken: string[] = [];
    const line = (name: string) => {
      const leave = own.line(() => {
        woken.push(name);
        leave();
      });
      return leave;
    };
    return { woken, line };
  };

  it('is not there unless the agent has one', () => {
    const own = guard();
    expect(Array.from({ length: 1000 }, () => own.enter())).not.toContain('busy');
    expect(own.condition).toMatchObject({ running: 1000, full: false });
  });

  it('lets so many through, and so many wait', () => {
    const own = guard({ max_concurrency: 2, max_queue: 1 });
    expect([own.enter(), own.enter(), own.enter()]).toEqual(['call', 'call', 'busy']);
    const leave = own.line(() => undefined);
    expect([own.enter(), own.condition.full]).toEqual(['full', true]);
    leave();
    expect([own.enter(), own.condition.full]).toEqual(['busy', false]);
  });

  it('wakes those who wait one by one, in the order they came, before others', () => {
    const own = guard({ max_concurrency: 1 });
    own.enter();
    const { woken, line } = wakes(own);
    line('first');
    line('second');
    own.leave('call', true);
    expect(woken).toEqual(['first']);
    expect(own.enter()).toBe('busy'); // somebody waits still
    expect(own.enter(true)).toBe('call');
    own.leave('call', true);
    expect(woken).toEqual(['first', 'second']);
  });

  it('wakes the more urgent first, and of equals who came first', () => {
    const own = guard({ max_concurrency: 1 });
    own.enter();
    const woken: string[] = [];
    for (const [name, priority] of [
      ['a', undefined],
      ['b', 5],
      ['c', 10],
      ['d', 5],
      ['e', 1],
    ] as const) {
      const leave = own.line(() => {
        woken.push(name);
        leave();
      }, priority);
    }
    for (let i = 0; i < 5; i++) {
      own.leave('call', true);
      own.enter(true);
    }
    expect(woken.join('')).toBe('cbdae');
  });

  it('wakes nobody who has left the line', () => {
    const own = guard({ max_concurrency: 1 });
    own.enter();
    const { woken, line } = wakes(own);
    line('first')();
    line('second');
    own.leave('call', true);
    expect(woken).toEqual(['second']);
  });

  it('wakes everybody when the breaker opens, and when the agent is described anew', () => {
    const all = guards();
    const own = all.at(described({ max_concurrency: 1, breaker: { failures: 1 } }));
    own.enter();
    const { woken, line } = wakes(own);
    line('first');
    line('second');
    own.leave('call', false);
    expect(woken).toEqual(['first', 'second']);
    line('third');
    all.at(described({}, 'second'));
    expect(woken).toEqual(['first', 'second', 'third']);
  });

  it('counts nothing of an agent that was never asked', () => {
    expect(guards().of('nobody')).toEqual({ breaker: 'closed', running: 0, full: false });
  });
});
