import { z } from 'zod';
import { wholeNumber } from '../../kernel/setting.js';
import { parseVerifierKey } from '../../ledger/note.js';

const HTTP = /^https?:\/\//;

/** `<vkey> <url>`, more of them after commas. */
const witnesses = z.string().transform((text, context) => {
  const found = text.split(',').map((each) => {
    const [vkey = '', url = '', ...more] = each.trim().split(/\s+/);
    try {
      const key = parseVerifierKey(vkey);
      if (key.kind === 'cosignature' && more.length === 0 && HTTP.test(url) && URL.canParse(url)) return { key, url };
    } catch {}
    return null;
  });
  if (!found.includes(null)) return found.filter((each) => each !== null);
  context.addIssue(
    'must be a verifier key of a witness and its URL, like witness.example+1a2b3c4d+BAAA… https://witness.example; more after commas',
  );
  return z.NEVER;
});

export const AnchorSettings = z.object({
  /** Shortest time between two checkpoints to the same anchor. */
  ANCHOR_INTERVAL_SECONDS: wholeNumber(1, 24 * 3600).default(60),
  /** Directory that keeps every checkpoint; if it is a git repository, each becomes a commit, and is pushed where there is a remote. */
  ANCHOR_DIR: z.string().min(1).optional(),
  /** Checkpoints are posted there. */
  ANCHOR_URL: z.url({ protocol: /^https?$/, error: 'must be an http or https URL' }).optional(),
  /** C2SP witnesses, who cosign that the log only grew. */
  ANCHOR_WITNESSES: witnesses.optional(),
});

export type AnchorSettings = z.output<typeof AnchorSettings>;
