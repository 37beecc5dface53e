/** Node's own realm as the environment of every suite. What a suite leaves behind there is taken away after it. */
import { ModuleMocker } from 'jest-mock';

/** Globals and listeners of packages, which are loaded once and stay. */
const kept = new Set();

const globals = () => new Map(Reflect.ownKeys(globalThis).map((key) => [key, Object.getOwnPropertyDescriptor(globalThis, key)]));
const listeners = () => process.eventNames().flatMap((event) => process.rawListeners(event).map((listener) => ({ event, listener })));

export function keepWhatIsAdded(load) {
  const before = new Set([...globals().keys(), ...listeners().map(({ listener }) => listener)]);
  load();
  for (const key of [...globals().keys(), ...listeners().map(({ listener }) => listener)]) if (!before.has(key)) kept.add(key);
}

export default class NodesRealm {
  global = globalThis;
  moduleMocker = new ModuleMocker(globalThis);
  // No test pretends about the time of the machine it runs on.
  fakeTimers = null;
  fakeTimersModern = null;

  #globals = globals();
  #listeners = new Set(listeners().map(({ listener }) => listener));
  #env = { ...process.env };
  #exit = process.exit;

  async setup() {}

  async teardown() {
    for (const [key, now] of globals()) {
      const before = this.#globals.get(key);
      if (before === undefined && !kept.has(key) && now.configurable) delete globalThis[key];
      if (before !== undefined && now.value !== before.value) Object.defineProperty(globalThis, key, before);
    }
    for (const { event, listener } of listeners()) {
      if (!this.#listeners.has(listener) && !kept.has(listener)) process.off(event, listener);
    }
    for (const name of Object.keys(process.env)) if (!(name in this.#env)) delete process.env[name];
    Object.assign(process.env, this.#env);
    process.exit = this.#exit;
  }

  exportConditions() {
    return ['node', 'node-addons'];
  }

  /** The executor compiles without one. */
  getVmContext() {
    return null;
  }
}
