/** A C2SP witness as the specification has it, for one log: it remembers the newest checkpoint it cosigned and takes only what goes on from there. */
import { createHash } from 'node:crypto';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { openCheckpoint, parseSize } from '../../src/ledger/checkpoint.js';
import { decodeBase64, formatSignature, type SignerKey, signText, type VerifierKey, verifierOf } from '../../src/ledger/note.js';
import { verifyConsistency } from '../../src/ledger/tree.js';

interface Answer {
  readonly status: number;
  readonly text?: string;
  readonly type?: string;
}

export class Witness {
  /** Statuses it answered with. */
  readonly answered: number[] = [];
  /** The bodies it got. */
  readonly heard: string[] = [];
  readonly key: VerifierKey;
  last: { size: bigint; root: Buffer } = { size: 0n, root: Buffer.alloc(0) };
  /** Answered in place of its own, to be a bad witness. */
  instead: Answer | null = null;
  url = '';
  private readonly server: Server;

  constructor(
    private readonly signer: SignerKey,
    private readonly log: readonly VerifierKey[],
  ) {
    const { name, bytes } = verifierOf(signer);
    const id = createHash('sha256').update(`${name}\n`).update(Buffer.of(4)).update(bytes).digest('hex').slice(0, 8);
    this.key = { name, id, kind: 'cosignature', bytes };
    this.server = createServer((request, response) => {
      void text(request).then((body) => {
        this.heard.push(body);
        const right = request.method === 'POST' && request.url === '/add-checkpoint';
        const answer: Answer = this.instead ?? (right ? this.add(body) : { status: 404 });
        this.answered.push(answer.status);
        response.writeHead(answer.status, { 'content-type': answer.type ?? 'text/plain' }).end(answer.text);
      });
    });
  }

  async open(): Promise<this> {
    await new Promise<void>((listening) => this.server.listen(0, '127.0.0.1', listening));
    this.url = `http://127.0.0.1:${(this.server.address() as AddressInfo).port}`;
    return this;
  }

  async close(): Promise<void> {
    this.server.closeAllConnections();
    await new Promise((closed) => this.server.close(closed));
  }

  private add(body: string): Answer {
    const cut = body.indexOf('\n\n');
    const [first = '', ...lines] = body.slice(0, cut).split('\n');
    const note = body.slice(cut + 2);
    const old = parseSize(/^old (.*)$/.exec(first)![1]!);
    let checkpoint: ReturnType<typeof openCheckpoint>;
    try {
      checkpoint = openCheckpoint(note, this.log);
    } catch {
      return { status: 403 };
    }
    const { size, root } = checkpoint;
    if (old > size || lines.length > 63) return { status: 400 };
    if (old !== this.last.size) return { status: 409, text: `${this.last.size}\n`, type: 'text/x.tlog.size' };
    const path = lines.map((line) => decodeBase64(line)!);
    if (old === 0n ? path.length > 0 : !verifyConsistency({ from: old, to: size, fromRoot: this.last.root, toRoot: root, path })) {
      return old === size ? { status: 409, text: `${size}\n`, type: 'text/x.tlog.size' } : { status: 422 };
    }
    this.last = { size, root };
    return { status: 200, text: this.cosign(checkpoint.text) };
  }

  cosign(said: string, time = 1_790_000_000n): string {
    const stamp = Buffer.alloc(8);
    stamp.writeBigUInt64BE(time);
    const { bytes } = signText(`cosignature/v1\ntime ${time}\n${said}`, this.signer);
    return formatSignature({ name: this.key.name, id: this.key.id, bytes: Buffer.concat([stamp, bytes]) });
  }
}
