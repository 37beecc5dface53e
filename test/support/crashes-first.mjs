/** The gate kills often, which takes far longer than anything else: those two begin, and the rest fills what they leave. */
import { basename } from 'node:path';
import sequencer from '@jest/test-sequencer';

const isCrash = ({ path }) => basename(path).startsWith('crash-');

export default class CrashesFirst extends (sequencer.default ?? sequencer) {
  sort(tests) {
    const sorted = super.sort(tests);
    return [...sorted.filter(isCrash), ...sorted.filter((test) => !isCrash(test))];
  }
}
