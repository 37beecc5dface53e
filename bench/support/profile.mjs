/** Reads the .cpuprofile of V8: self time by function, by package and by who asked for it, between two moments of the monotonic clock. */
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const monotonicMicros = () => Number(process.hrtime.bigint() / 1000n);

/** One entry per thread that left a profile, the main thread first. Names end in .pid.thread.number.cpuprofile. */
export async function readProfiles(directory, from, to) {
  const files = (await readdir(directory)).filter((name) => name.endsWith('.cpuprofile'));
  if (files.length === 0) throw new Error(`the process left no .cpuprofile in ${directory}`);
  const threads = files.map((file) => ({ file, thread: Number(file.split('.').at(-3)) })).sort((a, b) => a.thread - b.thread);
  return Promise.all(
    threads.map(async ({ file, thread }) => ({ thread, ...summary(JSON.parse(await readFile(join(directory, file), 'utf8')), from, to) })),
  );
}

function summary({ nodes, samples, timeDeltas, startTime }, from, to) {
  const named = namesOf(nodes);
  const sums = { function: new Map(), place: new Map(), caller: new Map() };
  let total = 0;
  let idle = 0;
  let at = startTime;
  samples.forEach((id, i) => {
    at += timeDeltas[i];
    const micros = timeDeltas[i + 1] ?? 0; // a sample's time runs until the next sample
    if (at < from || at > to || micros < 0) return;
    total += micros;
    const names = named.get(id);
    if (names.function === '(idle)') idle += micros;
    else for (const [what, map] of Object.entries(sums)) map.set(names[what], (map.get(names[what]) ?? 0) + micros);
  });
  const top = (what, n) => [...sums[what]].sort((a, b) => b[1] - a[1]).slice(0, n);
  return { total, busy: total - idle, top };
}

/** Of each node its function, its package or file, and its nearest caller in dist/, or else the outermost package it was called from. */
function namesOf(nodes) {
  const named = new Map();
  const byId = new Map(nodes.map((node) => [node.id, node]));
  const visit = (node, caller) => {
    const { functionName, url, lineNumber } = node.callFrame;
    const path = pathOf(url);
    const special = /^\((idle|program|root|garbage collector)\)$/.test(functionName);
    const where = special ? functionName : url === '' ? 'V8 and C++' : placeOf(path);
    const ours = path.startsWith('dist/') ? `${functionName || '(anonymous)'}  ${path}` : undefined;
    const outermost = caller ?? (/^[a-z@]/.test(where) && !where.startsWith('node:') ? `(outside) ${where}` : undefined);
    const next = ours ?? outermost;
    named.set(node.id, {
      function: special ? functionName : `${functionName || '(anonymous)'}  ${path}:${lineNumber + 1}`,
      place: where,
      caller: special ? functionName : (next ?? '(outside) Node itself'),
    });
    for (const child of node.children ?? []) visit(byId.get(child), next);
  };
  visit(nodes[0], undefined);
  return named;
}

function pathOf(url) {
  if (!url.startsWith('file:')) return url || 'native';
  const path = fileURLToPath(url);
  const library = path.lastIndexOf('/node_modules/');
  if (library >= 0) return path.slice(library + 14);
  const dist = path.lastIndexOf('/dist/');
  return dist >= 0 ? path.slice(dist + 1) : path;
}

/** dist/ledger/append.worker.js stays; pg/lib/client.js → pg; node:internal/streams/readable → node:internal/streams. */
function placeOf(path) {
  const parts = path.split('/');
  if (path.startsWith('node:')) return parts.slice(0, parts[0] === 'node:internal' ? 2 : 1).join('/');
  return parts.slice(0, path.startsWith('dist/') ? 3 : path.startsWith('@') ? 2 : 1).join('/');
}
