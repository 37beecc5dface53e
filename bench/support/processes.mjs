/** Child processes: started, ready, measured by /proc, and ended with the bench. */
import { fork, spawn } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { atEnd } from './database.mjs';

const READY_MS = 60_000;

const ended = (child) =>
  new Promise((done) => {
    if (child.exitCode !== null || child.signalCode !== null) done();
    else child.once('exit', done);
  });

export async function stop(child, signal = 'SIGTERM') {
  child.kill(signal);
  const timer = setTimeout(() => child.kill('SIGKILL'), 15_000);
  await ended(child);
  clearTimeout(timer);
}

function within(child, name, ready) {
  return new Promise((done, fail) => {
    const timer = setTimeout(() => fail(new Error(`${name} was not ready within ${READY_MS} ms`)), READY_MS);
    child.once('exit', (code, signal) => fail(new Error(`${name} ended with ${code ?? signal} before it was ready`)));
    ready((value) => {
      clearTimeout(timer);
      done(value);
    });
  });
}

/** A script in its own process; resolves when it says it is ready. `ask` sends a message and resolves with its answer. */
export async function helper(script, args = {}, { execArgv = [] } = {}) {
  const child = fork(fileURLToPath(script), [JSON.stringify(args)], { execArgv });
  atEnd(() => stop(child));
  const ready = await within(child, script.pathname, (done) => child.once('message', done));
  let last = 0;
  const ask = (message) =>
    new Promise((done, fail) => {
      const id = ++last;
      const died = () => fail(new Error(`${script.pathname} ended`));
      const hear = (answer) => {
        if (answer.id !== id) return;
        child.off('message', hear);
        child.off('exit', died);
        if (answer.error) fail(new Error(`${script.pathname}: ${answer.error}`));
        else done(answer.result);
      };
      child.on('message', hear);
      child.once('exit', died);
      child.send({ id, message });
    });
  return { pid: child.pid, child, ready, ask };
}

/** An agent of examples/agents on a free port; resolves with its URL. */
export async function example(name) {
  const script = fileURLToPath(new URL(`../../examples/agents/${name}/agent.mjs`, import.meta.url));
  const child = spawn(process.execPath, [script], { env: { PATH: process.env.PATH, PORT: '0' }, stdio: ['ignore', 'pipe', 'inherit'] });
  atEnd(() => stop(child));
  return within(child, name, (done) => child.stdout.on('data', (said) => done(/http:\S+/.exec(said)?.[0])));
}

/** The other side of `helper`: answers each message with what `work` returns. */
export function serveParent(work) {
  process.on('message', ({ id, message }) => {
    Promise.resolve(work(message)).then(
      (result) => process.send({ id, result }),
      (error) => process.send({ id, error: error.stack }),
    );
  });
}

/**
 * `node dist/main.js` with these settings; resolves when it listens. Without lines for requests and tasks: what it is compared with writes none
 * either.
 */
export async function orchestrator({ root }, env, execArgv = []) {
  const port = await freePort();
  const url = `http://127.0.0.1:${port}`;
  const clean = {
    PATH: process.env.PATH,
    HOME: process.env.HOME,
    NODE_ENV: 'production',
    ORCHESTRATOR_PORT: String(port),
    LOG_LEVEL: 'warn',
    MASTER_KEY: '00'.repeat(32), // replicas of one database share it
    ...env,
  };
  const child = spawn(process.execPath, [...execArgv, resolve(root, 'dist/main.js')], { env: clean, stdio: ['ignore', 'ignore', 'pipe'] });
  atEnd(() => stop(child));
  let heard = '';
  child.stderr.on('data', (chunk) => {
    heard += chunk;
  });
  await within(child, 'the orchestrator', (done) => {
    const ask = setInterval(() => {
      if (child.exitCode !== null) return clearInterval(ask);
      fetch(`${url}/v1/health`).then(
        ({ ok }) => {
          if (!ok) return;
          clearInterval(ask);
          done();
        },
        () => undefined,
      );
    }, 100);
  }).catch((error) => {
    throw new Error(`${error.message}: ${heard.trim().slice(0, 500)}`);
  });
  return { pid: child.pid, child, url };
}

async function freePort() {
  const server = createServer();
  await new Promise((listening) => server.listen(0, '127.0.0.1', listening));
  const { port } = server.address();
  await new Promise((closed) => server.close(closed));
  return port;
}

const TICK_MS = 10; // USER_HZ is 100 on every Linux Node runs on

/** Milliseconds of CPU the process has used so far. */
export function cpuOf(pid) {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return (Number(fields[11]) + Number(fields[12])) * TICK_MS;
  } catch {
    return 0;
  }
}

/** The same for all backends that serve, or were seen to serve, this database. */
export function cpuOfDatabase(name) {
  const seen = backends.get(name) ?? new Map();
  backends.set(name, seen);
  for (const pid of readdirSync('/proc')) {
    if (!/^\d+$/.test(pid)) continue;
    try {
      const title = readFileSync(join('/proc', pid, 'cmdline'), 'utf8');
      if (title.startsWith('postgres:') && title.includes(` ${name} `)) seen.set(pid, cpuOf(pid));
    } catch {
      // it ended meanwhile
    }
  }
  return [...seen.values()].reduce((sum, milliseconds) => sum + milliseconds, 0);
}

const backends = new Map();
