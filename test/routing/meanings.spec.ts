import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Lexicon } from '../../src/routing/lexicon.js';
import { likeness, Meanings, mostAlike, readMeanings } from '../../src/routing/meanings.js';
import { meaningsIn } from '../../src/routing/meanings-file.system.js';
import { scratchDirectory } from '../support/place.js';
import { agent, MEANINGS, offers } from '../support/registry.js';

const near = (a: string, b: string, meanings = MEANINGS) => likeness(meanings.of(a)!, meanings.of(b)!);

describe('the table of meanings', () => {
  const text = Buffer.from('rain\numbrella\nmoney');
  const size = Buffer.alloc(4);
  size.writeUInt32LE(text.length);
  const vectors = Buffer.from(Int8Array.from([...[127, 0, 0], ...[96, -72, 0], ...[0, 0, 127]]).buffer);
  const bytes = Buffer.concat([Buffer.from('!'), size, text, vectors]).subarray(1);

  it('is words and a vector of length 1 for each, whatever else is in memory before it', () => {
    const read = readMeanings(bytes);
    expect(read.dimensions).toBe(3);
    expect([...read.of('umbrella')!].map((value) => value.toFixed(6))).toEqual(['0.800000', '-0.600000', '0.000000']);
    expect([near('rain', 'umbrella', read), near('rain', 'money', read)]).toEqual([expect.closeTo(0.8), 0]);
    expect([read.of('snow'), read.of('')]).toEqual([undefined, undefined]);
  });

  it('knows which words are rare; one it does not know is', () => {
    const [the, weather, umbrella] = ['people', 'weather', 'umbrella'].map((word) => MEANINGS.rarityOf(word));
    expect([the! < weather!, weather! < umbrella!, umbrella! < 1, MEANINGS.rarityOf('qwxzy')]).toEqual([true, true, true, 1]);
  });

  it('finds the most alike of many, of any number of dimensions, and nothing that points away', () => {
    for (const dimensions of [1, 4, 7]) {
      const vector = new Float64Array(dimensions).fill(1);
      const many = Float64Array.from([2, -3, 5, 4].flatMap((value) => new Array<number>(dimensions).fill(value)));
      expect(mostAlike(vector, many)).toBe(5 * dimensions);
      expect(mostAlike(vector, many.subarray(dimensions, 2 * dimensions))).toBe(0);
    }
  });

  it('is shipped, and says what people would', async () => {
    const shipped = await meaningsIn();
    expect(near('car', 'automobile', shipped)).toBeGreaterThan(near('car', 'banana', shipped) + 0.3);
    expect(near('rain', 'drizzle', shipped)).toBeGreaterThan(near('rain', 'money', shipped) + 0.3);
  });

  it('stops the start where it is damaged or missing, and says which file', async () => {
    const path = join(await scratchDirectory(), 'meanings.bin');
    await writeFile(path, bytes);
    await expect(meaningsIn(path)).rejects.toMatchObject({
      code: 'bad_configuration',
      message: expect.stringContaining(`${path}: it is not`),
    });
    await expect(meaningsIn('/nowhere/m.bin')).rejects.toMatchObject({
      code: 'bad_configuration',
      message: expect.stringMatching(/be read/),
    });
  });
});

describe('ranking by meaning', () => {
  const sky = agent({ agent_id: 'sky' }, [offers('weather.forecast', { description: 'Tells the weather', tags: ['rain', 'sun'] })]);
  const bank = agent({ agent_id: 'bank' }, [
    offers('account.balance', { description: 'Shows the balance of a bank account', tags: ['money'] }),
    offers('card.block', { description: 'Blocks a lost or stolen card', tags: ['credit card'] }),
  ]);
  const lexicon = new Lexicon([sky, bank], MEANINGS);
  const ranked = (message: string, among?: typeof bank) =>
    lexicon.rank(message, among).matches.map(({ capability, score, meaning }) => [capability, score > 0, meaning > 0]);

  it('finds words nobody wrote down', () => {
    expect(ranked('thunderstorms and snowfall')[0]).toEqual(['weather.forecast', false, true]);
    expect(ranked('my savings in dollars')[0]).toEqual(['account.balance', false, true]);
  });

  it('leaves out what has neither a word nor meaning in common, and what others offer', () => {
    expect(ranked('thunderstorms and snowfall').map(([capability]) => capability)).toEqual(['weather.forecast']);
    expect(ranked('qwxzy brrzt')).toEqual([]);
    expect(ranked('thunderstorms and snowfall', bank)).toEqual([]);
  });

  it('keeps words before meaning: who has the word is first, and is surer than who only means it', () => {
    const [word, meant] = ['rain', 'drizzle'].map((message) => lexicon.rank(message));
    expect([word!.matches[0]!.capability, meant!.matches[0]!.capability]).toEqual(['weather.forecast', 'weather.forecast']);
    expect(word!.confidence).toBeGreaterThan(meant!.confidence + 0.2);
  });

  it('takes only the same words for near where nothing is known of any', () => {
    const alone = new Lexicon([sky, bank], new Meanings(['zzz'], new Int8Array([1]), 1));
    expect(alone.rank('lost card').matches.map(({ capability, meaning }) => [capability, meaning > 0])).toEqual([['card.block', true]]);
    expect(alone.rank('thunderstorms').matches).toEqual([]);
  });
});
