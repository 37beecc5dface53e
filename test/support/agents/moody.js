import { existsSync } from 'node:fs';
import { appendFile } from 'node:fs/promises';
import { Agent } from 'agent-orchestrator';

const note = (file, line) => (typeof file === 'string' ? appendFile(file, `${line}\n`) : undefined);
const nested = (levels) => {
  let value = 0;
  for (let i = 0; i < levels; i++) value = [value];
  return value;
};
const circle = () => {
  const self = {};
  self.self = self;
  return self;
};

/** What agents do, well and badly: one capability each. `parameters.note` names a file in which the agent leaves word. */
const MOODS = {
  mirrors: ({ parameters, context }) => ({ success: true, data: { parameters, context } }),
  'says nothing of the result': () => ({ success: true }),
  scribbles: ({ parameters }) => {
    parameters.text = 'changed by the agent';
    return { success: true, data: 'done' };
  },
  refuses: () => ({ success: false, error: 'not today', data: { tried: 3 } }),
  'refuses without a word': () => ({ success: false, error: undefined }),
  'throws at once': () => {
    throw new Error('out of order');
  },
  'throws later': async () => {
    await new Promise(setImmediate);
    throw new Error('fell over');
  },
  'throws what it was told': ({ parameters }) => {
    throw new Error(parameters.text);
  },
  'throws nothing': () => Promise.reject(),
  'throws what has no text': () => {
    throw Object.create(null);
  },
  'throws half a character': () => {
    throw new Error('half \ud83d');
  },
  'throws what throws': () => {
    throw {
      toString() {
        throw new Error('again');
      },
    };
  },
  'throws null': () => {
    throw null;
  },
  'throws a symbol': () => {
    throw Symbol('odd');
  },
  'throws an error that will not say': () => {
    throw Object.defineProperty(new Error(), 'message', {
      get() {
        throw new Error('again');
      },
    });
  },
  'throws a megabyte': () => {
    throw new Error('m'.repeat(2 ** 20));
  },
  'answers 100 MB': () => ({ success: true, data: 'x'.repeat(100e6) }),
  'answers more than a text can hold': () => ({ success: true, data: Array(9).fill('x'.repeat(2 ** 26)) }),
  'answers 10000 levels': () => ({ success: true, data: nested(10_000) }),
  'answers what throws when read': () => ({
    success: true,
    get data() {
      throw new Error('not for reading');
    },
  }),
  'answers as much as allowed': ({ parameters }) => {
    const frame = JSON.stringify({ success: true, data: '' }).length;
    return { success: true, data: 'x'.repeat(4 * 2 ** 20 - frame + parameters.more) };
  },
  'answers nothing': () => undefined,
  'answers text': () => 'yes',
  'answers maybe': () => ({ success: 'maybe', data: 1 }),
  'answers a BigInt': () => ({ success: true, data: { n: 10n } }),
  'answers a circle': () => ({ success: true, data: circle() }),
  'answers NaN': () => ({ success: true, data: { n: Number.NaN } }),
  'answers 2^53': () => ({ success: true, data: { n: 2 ** 53 } }),
  'answers a function': () => () => 'never called',
  'answers 70 levels': () => ({ success: true, data: nested(70) }),
  'answers half a character': () => ({ success: true, data: 'half \ud83d' }),
  /** So many milliseconds, or until there is a file. */
  sleeps: async ({ parameters: { ms = 0, until, note: file } }) => {
    await note(file, 'started');
    while (until !== undefined && !existsSync(until)) await new Promise((look) => setTimeout(look, 5).unref());
    await new Promise((wake) => setTimeout(wake, ms));
    return { success: true, data: { slept: ms } };
  },
  /** Tells `pieces` on its way; its answer is another text. */
  tells: async ({ parameters }, { progress }) => {
    progress({ status: 'thinking' });
    for (const delta of parameters.pieces ?? []) {
      progress({ delta });
      await new Promise(setImmediate);
    }
    progress({ status: 'done', secret: 'not passed on' });
    return { success: true, data: { said: 'the whole answer' } };
  },
  'tells and throws': (_task, { progress }) => {
    progress({ delta: 'half' });
    throw new Error('fell over');
  },
  'tells nonsense': (_task, { progress }) => {
    progress({ delta: 5 });
    return { success: true };
  },
  'tells too late': ({ parameters }, { progress }) => {
    progress({ delta: 'in time' });
    const later = async () => {
      progress({ delta: 'too late' });
      await note(parameters.note, 'told');
    };
    setTimeout(() => void later(), 20);
    return { success: true };
  },
  /** Tells faster than anybody reads. */
  pours: async ({ parameters }, { progress }) => {
    const delta = 'x'.repeat(parameters.size);
    for (let i = 0; i < parameters.times; i++) {
      progress({ delta });
      if (i % 10 === 0) await new Promise(setImmediate);
    }
    return { success: true, data: 'y'.repeat(parameters.answer) };
  },
  /** Tells, then waits until it is stopped. */
  'tells and waits': async ({ parameters }, { progress, signal }) => {
    progress({ delta: 'half' });
    await note(parameters.note, 'started');
    await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }));
    await note(parameters.note, 'aborted');
    throw new Error('stopped');
  },
  /** Stops when told, as an agent should. */
  obeys: async ({ parameters }, { signal }) => {
    await note(parameters.note, 'started');
    await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }));
    await note(parameters.note, 'aborted');
    throw new Error('stopped');
  },
  /** Does not. */
  'never answers': async ({ parameters }, { signal }) => {
    signal.addEventListener('abort', () => note(parameters.note, 'aborted'));
    await note(parameters.note, 'started');
    return new Promise(() => undefined);
  },
};

const name = (mood) => mood.replaceAll(' ', '-').replace('^', '');

export default class Moody extends Agent {
  description = {
    agent_id: 'moody',
    name: 'Moody',
    capabilities: Object.keys(MOODS).map((mood) => ({ name: name(mood), description: mood, input_schema: undefined })),
  };
  moods = new Map(Object.entries(MOODS).map(([mood, act]) => [name(mood), act]));

  execute(task, options) {
    return this.moods.get(task.capability)(task, options);
  }
}
