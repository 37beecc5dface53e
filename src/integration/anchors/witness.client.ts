/**
 * A C2SP witness (tlog-witness): it cosigns a checkpoint only if that goes on from the last one it saw of this log. Whoever trusts the witness need not
 * trust us not to show different logs to different people.
 */
import { OrchestratorError } from '../../kernel/errors.js';
import type { Anchor, Anchored, AnchoredCheckpoint, ProveFrom } from '../../ledger/anchor.js';
import { parseSize } from '../../ledger/checkpoint.js';
import { formatSignature, parseNote, signersOf, type VerifierKey } from '../../ledger/note.js';
import { placeOf, postText, type TextAnswer } from './webhook.client.js';

const CONFLICT = 409;
/** With the size it says it has seen: another root there, or no way from there to here. */
const DISAGREES = [CONFLICT, 422];
const SIZE_TYPE = 'text/x.tlog.size';

export class WitnessAnchor implements Anchor {
  readonly name: string;
  /** What it has seen of each log, as far as we know; it says so if we are wrong. */
  private readonly seen = new Map<string, bigint>();

  constructor(
    private readonly key: VerifierKey,
    private readonly url: string,
  ) {
    this.name = `witness ${key.name} at ${placeOf(url)}`;
  }

  async keep(checkpoint: AnchoredCheckpoint, proveFrom: ProveFrom, signal: AbortSignal): Promise<Anchored> {
    const { origin, size, note } = checkpoint;
    let answer = await this.add(checkpoint, proveFrom, signal);
    if (answer.status === CONFLICT && answer.type.startsWith(SIZE_TYPE)) {
      const seen = parseSize(answer.text.trimEnd());
      if (seen > size) throw unwilling(`it has seen ${origin} with ${seen} events, and this ledger has ${size}: it was set back`);
      this.seen.set(origin, seen);
      answer = await this.add(checkpoint, proveFrom, signal);
    }
    if (DISAGREES.includes(answer.status)) {
      throw unwilling(`it has seen ${origin} with other events than this ledger has: it was set back and went on (HTTP ${answer.status})`);
    }
    if (answer.status !== 200) throw unwilling(`${this.name} answered HTTP ${answer.status}: ${answer.text.slice(0, 200)}`);
    const cosignatures = this.own(note, answer.text);
    this.seen.set(origin, size);
    return { cosignatures };
  }

  private async add({ origin, size, note }: AnchoredCheckpoint, proveFrom: ProveFrom, signal: AbortSignal): Promise<TextAnswer> {
    const seen = this.seen.get(origin) ?? 0n;
    const old = seen > size ? 0n : seen;
    const path = await proveFrom(old);
    const lines = [`old ${old}`, ...path.map((hash) => hash.toString('base64'))];
    return postText(`${this.url.replace(/\/$/, '')}/add-checkpoint`, `${lines.join('\n')}\n\n${note}`, signal);
  }

  /** Those of its signature lines that are its own and good; the rest is nobody's word. */
  private own(note: string, lines: string): string {
    const { text } = parseNote(note);
    const own = parseNote(`${text}\n${lines}`).signatures.filter(({ name, id }) => name === this.key.name && id === this.key.id);
    if (signersOf({ text, signatures: own }, [this.key]).length === 0) throw unwilling(`${this.name} answered without its own signature`);
    return own.map(formatSignature).join('');
  }
}

const unwilling = (why: string) => new OrchestratorError('integration_unavailable', why);
