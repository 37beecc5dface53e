import { exitCodeOf, renderProgress, type VerifyOptions, verifyCommand } from '../../src/audit/verify.cli.js';
import type { VerifyMessage, VerifyScope } from '../../src/audit/verify.js';
import { readMessages } from '../../src/audit/verify-wire.js';
import { PaperLedger, soundLedger } from './paper-ledger.js';

async function* say(messages: VerifyMessage[], pause = 0): AsyncGenerator<VerifyMessage> {
  for (const message of messages) {
    yield message;
    if (pause > 0) await new Promise((go) => setTimeout(go, pause));
  }
}

interface Setting {
  tty?: boolean;
  env?: Record<string, string>;
  pause?: number;
  options?: VerifyOptions;
}

async function run(messages: VerifyMessage[], { tty = false, env = {}, pause = 0, options = {} }: Setting = {}) {
  const told = { out: '', err: '', scopes: [] as VerifyScope[] };
  const stdout = { isTTY: tty, write: (text: string) => (told.out += text) };
  const stderr = { isTTY: tty, write: (text: string) => (told.err += text) };
  const source = (scope: VerifyScope) => {
    told.scopes.push(scope);
    return say(messages, pause);
  };
  const code = await verifyCommand(options, source, { stdout, stderr, env });
  return { code, ...told };
}

const valid = () => soundLedger().ledger.verdict();

function invalid() {
  const { ledger, third } = soundLedger();
  third.row.task = 'wrong\x1b[2J\u202e';
  return ledger.verdict();
}

function incomplete() {
  const { ledger, third } = soundLedger();
  third.payload = [];
  return ledger.verdict();
}

describe('agent-orchestrator verify', () => {
  it('exits with 0 for valid, 2 for invalid, 4 for incomplete', async () => {
    for (const [verdict, code] of [
      [valid(), 0],
      [invalid(), 2],
      [incomplete(), 4],
    ] as const) {
      expect(exitCodeOf(verdict)).toBe(code);
      expect((await run([verdict])).code).toBe(code);
    }
  });

  it('prints every check, what is open, and the verdict last', async () => {
    const verdict = valid();
    const { out, err } = await run([{ done: 0, total: 9 }, { done: 9, total: 9 }, verdict]);
    for (const { step, name, result } of verdict.checks) expect(out).toMatch(new RegExp(`^ {2}${result} +${step}  ${name} `, 'm'));
    expect(out).toMatch(/^ {2}not checked +6 {2}checkpoints +none was signed: /m);
    expect(out).toMatch(/REQUESTs without a RESPONSE: 1\n {2}event 01K\w+, default\/session\/\w+ seq 5\n/);
    expect(out.trimEnd().split('\n').at(-1)).toBe('VALID');
    expect(err).toBe('');
  });

  it('names the first bad event in its last line', async () => {
    const { out } = await run([incomplete()]);
    expect(out.trimEnd().split('\n').at(-1)).toMatch(
      /^INCOMPLETE: first at event 01K\w+, default\/session\/\w+ seq 5, leaf 5: payload digests: 1 digest/,
    );
  });

  it('lists ten findings and counts the others', async () => {
    const ledger = new PaperLedger();
    for (let i = 0; i < 12; i++) ledger.append('default/system', 'log.started').row.task = 'wrong';
    expect((await run([ledger.verdict()])).out).toMatch(/\n {2}and 2 more \(--json tells more of them\)\n/);
  });

  it('colours only a terminal, and not where NO_COLOR is set', async () => {
    expect((await run([valid()], { tty: true })).out).toContain('\x1b[32mVALID');
    expect((await run([valid()])).out).not.toContain('\x1b');
    expect((await run([valid()], { tty: true, env: { NO_COLOR: '1' } })).out).not.toContain('\x1b');
  });

  it('lets nothing that stands in the ledger speak to the terminal', async () => {
    const { out } = await run([invalid()]);
    expect(out.replaceAll('\n', '')).not.toMatch(/\p{C}/u);
    expect(out).toContain('column task is "wrong\\u001b[2J\\u{202e}"');
  });

  it('prints one JSON document with --json, and progress beside it', async () => {
    const verdict = invalid();
    const { out, err, code } = await run([{ done: 5, total: 9 }, { done: 9, total: 9 }, verdict], {
      tty: true,
      pause: 120,
      options: { json: true },
    });
    expect(JSON.parse(out)).toEqual(JSON.parse(JSON.stringify(verdict)));
    expect(out.trimEnd().split('\n')).toHaveLength(1);
    expect(code).toBe(2);
    expect(err).toContain('verifying: 100 %');
  });

  it('shows progress on a terminal and takes it away', async () => {
    const messages = [{ done: 0, total: 9 }, { done: 5, total: 9 }, { done: 9, total: 9 }, valid()];
    const { err } = await run(messages, { tty: true, pause: 120 });
    expect(err).toMatch(/\rverifying: 55 %, 5 of 9 events, \d+ events\/s/);
    expect(err.endsWith('\r\x1b[K')).toBe(true);
    expect(renderProgress({ done: 1_234_567, total: 2_000_000 }, 10)).toBe(
      'verifying: 61 %, 1,234,567 of 2,000,000 events, 123,457 events/s',
    );
  });

  it('asks for a session of the default tenant, or of the one given', async () => {
    expect((await run([valid()], { options: { session: 'my chat' } })).scopes).toEqual([
      { session: { tenant: 'default', name: 'my chat' } },
    ]);
    expect((await run([valid()], { options: { session: 'x', tenant: 'acme' } })).scopes).toEqual([
      { session: { tenant: 'acme', name: 'x' } },
    ]);
  });

  it('exits with 1 and says why when it was asked wrongly, could not read, or got no verdict', async () => {
    const asked = await run([valid()], { options: { tenant: 'acme' } });
    expect(asked).toMatchObject({ code: 1, out: '', scopes: [], err: expect.stringContaining('give --session too') });
    const cut = await run([{ done: 0, total: 9 }]);
    expect(cut).toMatchObject({ code: 1, out: '', err: 'agent-orchestrator verify: the answer ended before the verdict; try again\n' });
  });
});

describe('the answer of a server', () => {
  async function read(...chunks: string[]): Promise<VerifyMessage[]> {
    const body = async function* () {
      for (const chunk of chunks) yield Buffer.from(chunk, 'latin1');
    };
    const messages = [];
    for await (const message of readMessages(body())) messages.push(message);
    return messages;
  }

  it('is read line by line, however it was cut', async () => {
    const messages = [{ done: 1, total: 9 }, invalid()];
    const text = Buffer.from(messages.map((m) => `${JSON.stringify(m)}\n`).join('')).toString('latin1');
    expect(await read(...text)).toEqual(JSON.parse(JSON.stringify(messages)));
    expect(await read(text.trimEnd())).toHaveLength(2);
  });

  it('is refused where it is no message, with what it said', async () => {
    await expect(read('<html>\n')).rejects.toMatchObject({ code: 'ledger_unavailable', message: expect.stringContaining('<html>') });
    await expect(read('{"verdict":"fine"}\n')).rejects.toMatchObject({ code: 'ledger_unavailable' });
    await expect(read('x'.repeat(5 * 1024 * 1024))).rejects.toMatchObject({ message: expect.stringContaining('longer than') });
  });

  it('may be a problem, which is passed on', async () => {
    const problem = '{"code":"not_found","detail":"tenant default has no session \\"x\\" to verify"}\n';
    await expect(read('{"done":0,"total":9}\n', problem)).rejects.toThrow('tenant default has no session "x" to verify (not_found)');
  });
});
