/**
 * MCP over the standard streams of a process that is ours: started in a process group of its own, stopped with everything it started. The SDK's
 * transport for this inherits more of our environment than a server needs, kills only the process itself and does not wait for its end.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import type { JSONRPCMessage, RequestId, Transport } from '@modelcontextprotocol/client';
import {
  isJSONRPCErrorResponse,
  isJSONRPCNotification,
  isJSONRPCRequest,
  isJSONRPCResultResponse,
  parseJSONRPCMessage,
} from '@modelcontextprotocol/client';
import { OrchestratorError } from '../../../kernel/errors.js';
import { parseJson } from '../../../kernel/json.js';
import { MAX_ANSWER_BYTES } from '../answer.js';

export interface Command {
  readonly command: string;
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  /** Where it runs. */
  readonly directory: string;
  /** A line of its standard error, bounded. */
  readonly log: (line: string) => void;
}

/** How long it may take to end when asked to. */
const TERM_MS = 2000;
/** Whoever left its process group may hold its pipes open for ever. */
const PIPES_MS = 500;
const INHERITED = ['PATH', 'HOME'];
const MAX_LOG_LINE = 1000;
/** Of one life: a server that floods its standard error does not flood our log. */
const MAX_LOGGED = 256 * 1024;

export class StdioWire implements Transport {
  onclose?: Transport['onclose'];
  onerror?: Transport['onerror'];
  onmessage?: Transport['onmessage'];
  /** By these two members the SDK knows a process: one that keeps silent about server/discover is of 2025-11-25. */
  readonly stderr = null;
  pid: number | null = null;
  /** How it ended, in words. */
  ended: string | null = null;
  private process: ChildProcess | null = null;
  private readonly waiting = new Set<RequestId>();
  private delivered: Promise<void> = Promise.resolve();
  private whenClosed: Promise<void> = Promise.resolve();

  constructor(private readonly what: Command) {}

  async start(): Promise<void> {
    const { command, args, env, directory, log } = this.what;
    const inherited = Object.fromEntries(INHERITED.flatMap((name) => (process.env[name] === undefined ? [] : [[name, process.env[name]]])));
    const child = spawn(command, args, { cwd: directory, env: { ...inherited, ...env }, stdio: 'pipe', detached: true, windowsHide: true });
    this.process = child;
    const stdout = eachLine(MAX_ANSWER_BYTES, (line) => this.hear(line));
    child.stdout.on('data', stdout).on('error', () => undefined);
    child.stderr.on('data', logged(log)).on('error', () => undefined);
    child.stdin.on('error', () => undefined); // its end says more
    this.whenClosed = new Promise((closed) => {
      child.once('close', (code, signal) => {
        this.ended ??= signal ? `it was ended by ${signal}` : `it ended with code ${code}`;
        this.process = null;
        void this.delivered.then(() => this.onclose?.()).then(closed, closed);
      });
    });
    child.once('exit', () => {
      killGroup(child, 'SIGKILL'); // what it started and left behind
      setTimeout(() => {
        child.stdout.destroy();
        child.stderr.destroy();
      }, PIPES_MS).unref();
    });
    await new Promise<void>((started, failed) => {
      child.once('spawn', started);
      child.once('error', (error) => {
        this.process = null;
        this.ended = `"${command}" cannot be started: ${error.message}`;
        failed(new OrchestratorError('agent_unreachable', this.ended));
      });
    });
    this.pid = child.pid ?? null;
  }

  async send(message: JSONRPCMessage): Promise<void> {
    if (!this.process?.stdin?.writable) throw new OrchestratorError('agent_unreachable', 'the process is not running');
    if (isJSONRPCRequest(message)) this.waiting.add(message.id);
    else if (isJSONRPCNotification(message) && message.method === 'notifications/cancelled')
      this.waiting.delete(message.params?.['requestId'] as RequestId);
    const { stdin } = this.process;
    // Resolved when it has been taken over, or never will be: the end of the process tells whoever waits.
    await new Promise<void>((taken) => stdin.write(`${JSON.stringify(message)}\n`, () => taken()));
  }

  /** null: a line too long to be read. Whose answer it was cannot be told, so nobody waits for it any longer. */
  private hear(line: Buffer | null): void {
    if (line === null) {
      const message = `the server wrote a line of more than ${MAX_ANSWER_BYTES} bytes`;
      for (const id of [...this.waiting]) this.fail(id, new OrchestratorError('payload_too_large', message));
      return;
    }
    const text = line.toString('utf8').trim();
    if (!text.startsWith('{')) {
      if (text !== '') this.what.log(`no message: ${text.slice(0, MAX_LOG_LINE)}`);
      return;
    }
    let message: JSONRPCMessage;
    try {
      message = parseJSONRPCMessage(parseJson(text));
    } catch (error) {
      const id = idOf(text);
      const failure = new OrchestratorError('invalid_json', (error as Error).message, { cause: line });
      if (id !== undefined && this.waiting.has(id)) this.fail(id, failure);
      else this.what.log(`no message: ${failure.message}`);
      return;
    }
    if (isJSONRPCResultResponse(message) || isJSONRPCErrorResponse(message)) this.waiting.delete(message.id as RequestId);
    this.deliver(message);
  }

  private fail(id: RequestId, failure: OrchestratorError): void {
    this.waiting.delete(id);
    this.deliver({ jsonrpc: '2.0', id, error: { code: 0, message: failure.message, data: failure } });
  }

  /** One at a time: the SDK forgets progress that is told in the same breath as the answer. */
  private deliver(message: JSONRPCMessage): void {
    this.delivered = this.delivered.then(() => this.onmessage?.(message)).catch((error: Error) => this.onerror?.(error));
  }

  /** Resolves when the process is gone. */
  async close(): Promise<void> {
    const child = this.process;
    if (!child?.pid) return;
    this.ended ??= 'it was stopped';
    child.stdin?.end();
    killGroup(child, 'SIGTERM');
    const timer = setTimeout(() => killGroup(child, 'SIGKILL'), TERM_MS);
    await this.whenClosed;
    clearTimeout(timer);
  }
}

/** Also those the process has started, unless they have left its group. */
function killGroup({ pid }: ChildProcess, signal: NodeJS.Signals): void {
  if (pid === undefined) return;
  try {
    process.kill(-pid, signal);
  } catch {
    // nobody left
  }
}

/** The id of a message that is JSON only to JSON.parse. */
function idOf(text: string): RequestId | undefined {
  try {
    return (JSON.parse(text) as { id?: RequestId }).id;
  } catch {
    return undefined;
  }
}

/** Lines without their ends; null for one longer than `most`. */
function eachLine(most: number, hear: (line: Buffer | null) => void): (chunk: Buffer) => void {
  let held: Buffer[] = [];
  let size = 0;
  return (chunk) => {
    let rest = chunk;
    for (let end = rest.indexOf(10); ; end = rest.indexOf(10)) {
      const piece = end === -1 ? rest : rest.subarray(0, end);
      if (size <= most) {
        size += piece.length;
        if (size > most) held = [];
        else held.push(piece);
        if (size > most) hear(null);
      }
      if (end === -1) return;
      if (size <= most) hear(Buffer.concat(held));
      held = [];
      size = 0;
      rest = rest.subarray(end + 1);
    }
  };
}

function logged(log: (line: string) => void): (chunk: Buffer) => void {
  let bytes = 0;
  return eachLine(MAX_LOG_LINE, (line) => {
    const before = bytes;
    bytes += line?.length ?? MAX_LOG_LINE;
    if (bytes <= MAX_LOGGED) log(line === null ? `a line of more than ${MAX_LOG_LINE} bytes` : line.toString('utf8'));
    else if (before <= MAX_LOGGED) log(`more than ${MAX_LOGGED} bytes; the rest until its next start is not logged`);
  });
}
