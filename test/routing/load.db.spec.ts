import { Instance } from '../../src/ledger/instance.worker.js';
import { LoadSharing } from '../../src/routing/load.worker.js';
import { describeOnServer, openServerDatabase, type TestDatabase } from '../support/databases.js';

describeOnServer('what replicas have under way', () => {
  let database: TestDatabase;
  beforeAll(async () => {
    database = await openServerDatabase();
  });
  afterAll(() => database.close());

  async function replica(owner: string, running: Record<string, number>) {
    const instance = new Instance(database.db, owner);
    await instance.start();
    const conditions = { of: (id: string) => ({ breaker: 'closed' as const, running: running[id] ?? 0, full: false }) };
    const load = new LoadSharing(database.db, { owner, agents: () => ['a', 'b'], conditions }, true);
    return { instance, load, running };
  }

  it('is told to each other, without what each has itself, until it is gone', async () => {
    const one = await replica('one', { a: 3 });
    const two = await replica('two', { a: 1, b: 2 });
    const three = await replica('three', {});
    for (const each of [one, two, three, one]) await each.load.look();
    expect([one.load.elsewhere('a'), one.load.elsewhere('b'), one.load.replicas]).toEqual([1, 2, 3]);
    await two.load.look();
    expect([two.load.elsewhere('a'), two.load.elsewhere('b')]).toEqual([3, 0]);
    one.running['a'] = 0;
    await one.load.look();
    await three.load.look();
    expect(three.load.elsewhere('a')).toBe(1);
    await two.instance.drain();
    await three.load.look();
    expect([three.load.elsewhere('a'), three.load.replicas, three.load.status()]).toEqual([
      0,
      2,
      { shared: true, replicas: 2, last_error: null },
    ]);
    for (const each of [one, three]) await each.instance.drain();
  });
});
