/** Text as words: what rules and the lexical ranking compare. */
import { stemmer } from 'stemmer';

/** What a longer message says further down decides nothing without a language model. */
export const MOST_READ = 2000;

const WORD = /[\p{L}\p{N}]+(?:['’]\p{L}+)*/gu;
/** A word of several: getInvoice, HTTPServer, utf8. */
const INSIDE = /(?<=\p{Ll})(?=\p{Lu})|(?<=\p{Lu})(?=\p{Lu}\p{Ll})|(?<=\p{L})(?=\p{N})|(?<=\p{N})(?=\p{L})/u;

/** Lower case, in the order of the text. Whole words: "this" holds no "hi". */
export const wordsOf = (text: string): string[] => text.normalize('NFKC').toLowerCase().match(WORD) ?? [];

/** Of names written as one word too: `send_mail`, `sendMail` and `send mail` are the same. */
export const wordsOfName = (name: string): string[] => wordsOf(name.split(INSIDE).join(' '));

/** Words that say nothing of what is wanted. */
const EMPTY = new Set(
  `a about after again all also am an and any anyone anything are as at be because been before being but by can cannot could couldn't did do does doesn't doing don't
   down each else every for from further get gets getting give given go goes going got had has have having he hello help her here hers hey hi him his how however i i'd
   i'll i'm i've if in into is isn't it it's its just kindly know let let's like made make makes making many maybe me mine more most much must my need needs needed no nor
   not now of off ok on once one only or other our ours out over own perhaps please quite rather really same say see shall she should so some somebody someone something
   such than thank thanks that that's the their theirs them then there these they thing things this those through to too under until up upon us use used using very want
   wanted wants was we well were what what's when where where's whether which while who who's whom whose why will with within without won't would wouldn't you you'd
   you'll your yours today tomorrow tonight yesterday monday tuesday wednesday thursday friday saturday sunday`.split(/\s+/),
);

/** A word as it was written, and its stem, which it shares with its other forms. */
export interface Said {
  readonly word: string;
  readonly term: string;
}

/** What a text is about: its words without the empty ones. */
export const saidBy = (words: readonly string[]): Said[] =>
  words
    .filter((word) => !EMPTY.has(word))
    .map((written) => {
      const word = written.replace(/['’].*$/, '');
      return { word, term: stemmer(word) };
    });

export const termsOf = (words: readonly string[]): string[] => saidBy(words).map(({ term }) => term);
