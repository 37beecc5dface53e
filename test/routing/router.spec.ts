import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { RegisteredAgent } from '../../src/agents/directory.js';
import type { Balancing } from '../../src/routing/balance.js';
import { Balancer } from '../../src/routing/balancer.system.js';
import type { Decision } from '../../src/routing/decision.js';
import { Router } from '../../src/routing/router.system.js';
import { RoutingFile, Rules } from '../../src/routing/rules.js';
import { readRules } from '../../src/routing/rules-file.system.js';
import { scratchDirectory } from '../support/place.js';
import { agent, idsOf, MEANINGS, offers, registryOf } from '../support/registry.js';

interface Seen {
  running?: Record<string, number>;
  elsewhere?: Record<string, number>;
  ways?: Record<string, { latencyMs: number; success: number }>;
}

function routerOf(
  agents: RegisteredAgent[],
  balancing: Balancing,
  { running = {}, elsewhere = {}, ways = {} }: Seen = {},
  scope: 'capability' | 'global' = 'capability',
) {
  const registry = registryOf(agents);
  const conditions = { of: (id: string) => ({ breaker: 'closed' as const, running: running[id] ?? 0, full: false }) };
  const load = { elsewhere: (id: string) => elsewhere[id] ?? 0, replicas: 2 };
  const balancer = new Balancer(balancing, scope, { conditions, calls: { ways: (id) => ways[id] ?? null }, load });
  const turns = { of: () => Promise.reject(new Error('nobody asks for the session')) };
  const around = { conditions, balancer, turns, rules: new Rules(RoutingFile.parse({})), meanings: MEANINGS, model: null };
  const router = new Router(registry, around, { strategy: 'hybrid', threshold: 0.7, shown: 20, timeoutMs: 1000 });
  const decide = (capability: string) => idsOf(router.decide({ capability, parameters: {}, deadline: 0 }, 'default') as Decision)[0]!;
  const look = (capability: string) => idsOf(router.look({ capability, parameters: {}, deadline: 0 }, 'default') as Decision)[0]!;
  const counts = (capability: string, calls: number) => {
    const all: Record<string, number> = {};
    for (let i = 0; i < calls; i++) {
      const id = decide(capability);
      all[id] = (all[id] ?? 0) + 1;
    }
    return all;
  };
  return { registry, router, decide, look, counts };
}

const able = (agent_id: string, more: object = {}, names = ['x']) =>
  agent(
    { agent_id, ...more },
    names.map((name) => offers(name)),
  );

describe('the router', () => {
  it('gives in proportion to the recorded weights; one without has 1', () => {
    const { counts } = routerOf([able('a', { weight: 3 }), able('b'), able('c', { weight: 0 })], 'weighted_round_robin');
    expect(counts('x', 4000)).toEqual({ a: 3000, b: 1000 });
  });

  it('goes round without regard to weights, if told to', () => {
    const { counts } = routerOf([able('a', { weight: 3 }), able('b')], 'round_robin');
    expect(counts('x', 100)).toEqual({ a: 50, b: 50 });
  });

  it('counts turns for each capability by itself, or for all together', () => {
    const agents = () => [able('a', {}, ['x', 'y']), able('b', {}, ['x', 'y'])];
    const apart = routerOf(agents(), 'round_robin');
    expect([apart.decide('x'), apart.decide('y')]).toEqual(['a', 'a']);
    const together = routerOf(agents(), 'round_robin', {}, 'global');
    expect([together.decide('x'), together.decide('y')]).toEqual(['a', 'b']);
  });

  it('takes nobody’s turn by looking', () => {
    const { look, decide } = routerOf([able('a'), able('b')], 'round_robin');
    expect([look('x'), look('x'), decide('x'), look('x')]).toEqual(['a', 'a', 'a', 'b']);
  });

  it('gives to who has least under way, counting what other replicas have told', () => {
    expect(routerOf([able('a'), able('b')], 'least_connections', { running: { a: 1 } }).decide('x')).toBe('b');
    expect(routerOf([able('a'), able('b')], 'least_connections', { elsewhere: { a: 20 }, running: { b: 1 } }).decide('x')).toBe('b');
  });

  it('gives to whose latest calls were quick and good', () => {
    const ways = { a: { latencyMs: 4000, success: 1 }, b: { latencyMs: 100, success: 1 }, c: { latencyMs: 10, success: 0.5 } };
    expect(routerOf([able('a'), able('b'), able('c')], 'score', { ways }).decide('x')).toBe('b');
  });

  it('knows the words of an agent as soon as it is registered, and forgets those of one that is gone', () => {
    const { registry, router } = routerOf([able('a', {}, ['weather.forecast'])], 'round_robin');
    const about = (message: string) => idsOf(router.look({ message, parameters: {}, deadline: 0 }, 'default') as Decision);
    expect([about('weather forecast'), about('sing a song')]).toEqual([['a'], []]);
    registry.put(able('b', {}, ['song.sing']));
    expect(about('sing a song')).toEqual(['b']);
    registry.put({ ...registry.get('b')!, status: 'stopped' }); // described as before
    expect(about('sing a song')).toEqual([]);
    registry.remove('a');
    expect(about('weather forecast')).toEqual([]);
  });
});

describe('the routing file', () => {
  const file = async (content: string) => {
    const path = join(await scratchDirectory(), 'routing.json');
    await writeFile(path, content);
    return path;
  };

  it('is read', async () => {
    const rules = await readRules(await file('{"rules": [{"capability": "x", "keywords": {"hi": 0.9}}], "fallback": {"agent_id": "a"}}'));
    expect([rules.match('hi')[0]!.capability, rules.fallback]).toEqual(['x', { agent_id: 'a' }]);
  });

  it.each([
    ['{', /JSON/],
    ['[]', /expected object/],
    ['{"rules": [{"capability": "x", "patterns": {"(": 1}}]}', /rules\.0\.patterns.*RE2/],
    ['{"rule": []}', /rule/],
  ])('that holds %j stops the start and says why', async (content, why) => {
    const path = await file(content);
    await expect(readRules(path)).rejects.toMatchObject({ code: 'bad_configuration', message: expect.stringMatching(why) });
    await expect(readRules(path)).rejects.toMatchObject({ message: expect.stringContaining(path) });
  });

  it('that is named must be there; the usual one need not', async () => {
    await expect(readRules('/nowhere/routing.json')).rejects.toMatchObject({ code: 'bad_configuration' });
    const here = process.cwd();
    process.chdir(await scratchDirectory());
    try {
      expect((await readRules(undefined)).match('anything')).toEqual([]);
    } finally {
      process.chdir(here);
    }
  });
});
