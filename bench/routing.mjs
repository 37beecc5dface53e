/** How good and how quick routing is without any language model. --help says more. */
import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { note, printTable, quantile } from './support/numbers.mjs';
import { readOptions } from './support/options.mjs';

const options = readOptions(
  `Routing by words, measured on labelled messages (bench/routing/). They are split once, by a hash of their text: on the tuning half the constants of
routing/lexicon.ts were fitted (--fit does it again), the tables show the other half, and a set that nothing was tuned on. No model is asked: "left"
is what would go to one, or be refused without. The development messages were looked at while tuning. --messages measures a set of your own, all of it, in place of these: JSON {catalogue, messages} with
catalogue like catalogue.json (tags, examples and descriptions as you have them) and messages with any of the kinds in messages.json and held-out.json:
clear, paraphrased, in (capability → texts), ambiguous ({message, any}), outside (texts).`,
  {
    agents: [[15, 100, 1000], 'sizes of the registry; from 15 on the catalogue is registered again and again'],
    decisions: [2000, 'measured at each size'],
    threshold: [0.7, 'ROUTING_CONFIDENCE'],
    fit: [false, 'fit the curve of confidence to the tuning half and print it, instead of measuring'],
    messages: ['', 'file of the set to measure'],
    wrong: [false, 'list what was decided wrongly or is not the nearest'],
  },
);

const load = (path) => import(pathToFileURL(resolve(options.root, 'dist', path)).href);
const read = async (name) => JSON.parse(await readFile(new URL(`./routing/${name}.json`, import.meta.url), 'utf8'));

const [{ AgentRegistry }, { UnspokenClient }, { Lexicon }, { meaningsIn }, { RoutingFile, Rules }, { route }] = await Promise.all(
  [
    'agents/directory.js',
    'agents/unspoken.client.js',
    'routing/lexicon.js',
    'routing/meanings-file.system.js',
    'routing/rules.js',
    'routing/route.js',
  ].map(load),
);
const meanings = await meaningsIn();
const given = options.messages && JSON.parse(await readFile(options.messages, 'utf8'));
const [catalogue, messages, heldOut, development] = given
  ? [given.catalogue, given.messages, {}, {}]
  : await Promise.all(['catalogue', 'messages', 'held-out', 'development'].map(read));

function registryOf(size) {
  const registry = new AgentRegistry();
  for (let i = 0; i < size; i++) {
    const described = catalogue[i % catalogue.length];
    const agent_id = i < catalogue.length ? described.agent_id : `${described.agent_id}-${i}`;
    registry.put({
      description: { version: '1.0.0', ...described, agent_id },
      protocol: 'bench',
      endpoint: null,
      client: new UnspokenClient('bench'),
      record: agent_id,
      registered_at: '',
      status: 'available',
      source: { by: 'api', tenant: 'default' },
    });
  }
  return registry;
}

function knowledgeOf(registry) {
  const lexicon = new Lexicon(registry.all(), meanings);
  return {
    directory: registry,
    condition: () => ({ breaker: 'closed', running: 0, full: false }),
    balancing: 'round_robin',
    place: () => ({ score: 0, turn: 0 }),
    misfit: () => null,
    rules: new Rules(RoutingFile.parse({})),
    lexicon: () => lexicon,
    strategy: 'simple',
    threshold: options.threshold,
    shown: null,
  };
}

const byCapability = (set, kind) =>
  Object.entries(set).flatMap(([capability, texts]) => texts.map((text) => ({ kind, text, right: [capability] })));

const labelled = ({ clear = {}, paraphrased = {}, in: within = {}, ambiguous = [], outside = [] }) => [
  ...byCapability(clear, 'clear'),
  ...byCapability(paraphrased, 'paraphrased'),
  ...byCapability(within, 'in the catalogue'),
  ...ambiguous.map(({ message, any }) => ({ kind: 'ambiguous', text: message, right: any })),
  ...outside.map((text) => ({ kind: 'outside', text, right: [] })),
];

const LABELLED = labelled(messages);
const HELD_OUT = labelled(heldOut);
/** Once and for ever: no message changes sides. */
const isForTuning = ({ text }) => createHash('sha256').update(text).digest()[0] % 2 === 0;

/** What the forerunners of this ladder did: a keyword anywhere in the text, even inside a word. */
const KEYWORDS = catalogue.flatMap(({ capabilities }) =>
  capabilities.map(({ name, tags = [] }) => [name, tags.map((tag) => tag.toLowerCase())]),
);
const tagged = KEYWORDS.some(([, tags]) => tags.length > 0);
function bareKeywords(text) {
  const lower = text.toLowerCase();
  const counted = KEYWORDS.map(([name, tags]) => [name, tags.filter((tag) => lower.includes(tag)).length]);
  const [name, count] = counted.reduce((best, one) => (one[1] > best[1] ? one : best));
  return count > 0 ? name : null;
}

const registry = registryOf(catalogue.length);
const knowledge = knowledgeOf(registry);

function decided({ text, right }) {
  const { ranked } = route({ message: text, parameters: {} }, knowledge);
  const taken = ranked[0]?.capability ?? null;
  const { matches, features, confidence } = knowledge.lexicon().rank(text);
  const nearest = matches[0]?.capability ?? null;
  return { text, right, taken, nearest, features, confidence, bare: bareKeywords(text) };
}

const share = (rows, holds) => (100 * rows.filter(holds).length) / rows.length;

function qualityOf(rows) {
  const outside = rows.every(({ right }) => right.length === 0);
  const ok = (row, choice) => row.right.includes(choice);
  return [
    String(rows.length),
    outside ? '' : share(rows, (row) => ok(row, row.nearest)),
    share(rows, (row) => row.taken !== null && ok(row, row.taken)),
    share(rows, (row) => row.taken !== null && !ok(row, row.taken)),
    share(rows, (row) => row.taken === null),
    ...(tagged ? [share(rows, (row) => ok(row, row.bare)), share(rows, (row) => row.bare !== null && !ok(row, row.bare))] : []),
  ];
}

const HEADS = [
  'messages',
  'n',
  'nearest is right %',
  'decided right %',
  'decided wrong %',
  'left to a model %',
  ...(tagged ? ['bare substrings: right %', 'wrong %'] : []),
];

function printQuality(title, set) {
  const rows = set.map((one) => ({ kind: one.kind, ...decided(one) }));
  const kinds = [...new Set(rows.map(({ kind }) => kind))].map((kind) => [kind, rows.filter((row) => row.kind === kind)]);
  const both = rows.filter(({ kind }) => kind === 'clear' || kind === 'paraphrased');
  const all = both.length > 0 ? [...kinds, ['clear and paraphrased', both]] : kinds;
  printTable(
    title,
    HEADS,
    all.map(([kind, some]) => [kind, ...qualityOf(some)]),
  );
  if (!options.wrong) return;
  for (const { kind, text, right, taken, nearest, confidence } of rows) {
    const bad = taken === null ? right.length > 0 && !right.includes(nearest) : !right.includes(taken);
    if (bad)
      note(
        `  ${taken === null ? 'nearest' : 'DECIDED'} ${kind}: "${text}" → ${taken ?? nearest} (${confidence}), not ${right.join(' | ') || 'nobody'}`,
      );
  }
}

function printTimes() {
  const texts = LABELLED.map(({ text }) => text);
  const rows = options.agents.map((size) => {
    const began = performance.now();
    const known = knowledgeOf(registryOf(size));
    const built = performance.now() - began;
    const time = (work) => {
      for (let i = 0; i < 300; i++) work(texts[i % texts.length]);
      const took = [];
      for (let i = 0; i < options.decisions; i++) {
        const start = performance.now();
        work(texts[i % texts.length]);
        took.push(performance.now() - start);
      }
      return took;
    };
    const byWords = time((message) => route({ message, parameters: {} }, known));
    const exact = time(() => route({ capability: 'weather.forecast', parameters: {} }, known));
    const bare = time(bareKeywords);
    return [size, built, quantile(byWords, 0.5), quantile(byWords, 0.99), quantile(exact, 0.5), quantile(bare, 0.5)];
  });
  printTable(
    'Time of one decision, ms',
    ['agents', 'index made', 'by words p50', 'p99', 'exact capability p50', `bare substrings of ${KEYWORDS.length} p50`],
    rows,
  );
}

/** What nobody can do counts double: to give it to somebody is worse than to ask once too often. */
const OUTSIDE = 2;

/** Logistic regression by plain descent: two features, a few hundred messages. */
function fitted() {
  const rows = LABELLED.filter((one) => isForTuning(one) && one.kind !== 'ambiguous')
    .map(decided)
    .filter(({ features }) => features);
  const inputs = rows.map(({ features: { strength, lead } }) => [1, strength, lead]);
  const counts = rows.map(({ right }) => (right.length === 0 ? OUTSIDE : 1));
  const all = counts.reduce((sum, count) => sum + count);
  const weights = [0, 0, 0];
  for (let round = 0; round < 60_000; round++) {
    const slope = [0, 0, 0];
    inputs.forEach((x, row) => {
      const height = x.reduce((sum, value, i) => sum + value * weights[i], 0);
      const off = counts[row] * (1 / (1 + Math.exp(-height)) - Number(rows[row].right.includes(rows[row].nearest)));
      for (const i of slope.keys()) slope[i] += off * x[i];
    });
    for (const i of slope.keys()) weights[i] -= 0.5 * (slope[i] / all + (i > 0 ? 0.002 * weights[i] : 0));
  }
  const [base, strength, lead] = weights.map((weight) => Number(weight.toFixed(2)));
  note(`curve of ${rows.length} messages: ${JSON.stringify({ base, strength, lead })}`);
}

if (options.fit) {
  fitted();
} else {
  note(`threshold ${options.threshold}, ${catalogue.length} agents with ${KEYWORDS.length} capabilities, no rules`);
  if (given) {
    printQuality(`Messages of ${options.messages}`, LABELLED);
  } else {
    printQuality(
      'Reported half of the labelled messages',
      LABELLED.filter((one) => !isForTuning(one)),
    );
    printQuality('Held-out messages', HELD_OUT);
    printQuality('Development messages, which share few words with the catalogue', labelled(development));
  }
  printTimes();
}
