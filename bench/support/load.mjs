/** The load: clients that call one after the other over a kept-alive connection each, in a session of their own that changes every 50 calls. */
import { Client } from 'undici';
import { quantile, sleep } from './numbers.mjs';
import { serveParent } from './processes.mjs';

const TEXT = 'What is the weather like in Reykjavik tomorrow, and should I take an umbrella? '.repeat(2).trim();
const GOOD = Buffer.from('"success":true');
let sessions = 0;

const call = (client, body) =>
  new Promise((done, fail) => {
    let status = 0;
    const chunks = [];
    client.dispatch(
      { path: '/v1/orchestrate', method: 'POST', headers: { 'content-type': 'application/json' }, body },
      {
        onRequestStart() {},
        onResponseStart(_, code) {
          status = code;
        },
        onResponseData(_, chunk) {
          chunks.push(chunk);
        },
        onResponseEnd() {
          const bytes = chunks.length === 1 ? chunks[0] : Buffer.concat(chunks);
          if (status === 200 && bytes.includes(GOOD)) done();
          else fail(new Error(`HTTP ${status} ${bytes.toString('utf8').slice(0, 300)}`));
        },
        onResponseError(_, error) {
          fail(error);
        },
      },
    );
  });

/**
 * Runs `clients` for `milliseconds` against `urls` in turn. `session`: all in this one session. `rate`: calls per second of all together, each
 * begun when its time has come; without it as fast as the answers allow.
 */
async function load({ urls, clients, milliseconds, callsPerSession = 50, session, rate, most = Number.POSITIVE_INFINITY }) {
  const latencies = [];
  const errors = [];
  const started = performance.now();
  const until = started + milliseconds;
  const one = async (n) => {
    const client = new Client(urls[n % urls.length], { pipelining: 1, bodyTimeout: 0, headersTimeout: 60_000 });
    let name = session;
    for (let i = 0; performance.now() < until && latencies.length < most; i++) {
      if (session === undefined && i % callsPerSession === 0) name = `bench-${process.pid}-${++sessions}`;
      const slot = rate ? started + ((i * clients + n) * 1000) / rate : 0;
      if (slot > performance.now()) await sleep(slot - performance.now());
      const body = JSON.stringify({ session_id: name, capability: 'echo', parameters: { text: TEXT, turn: i, client: n } });
      const at = performance.now();
      try {
        await call(client, body);
        latencies.push(performance.now() - at);
      } catch (error) {
        if (errors.push(error.message) > 50) break;
      }
    }
    await client.close();
  };
  await Promise.all(Array.from({ length: clients }, (_, n) => one(n)));
  const seconds = (performance.now() - started) / 1000;
  return {
    calls: latencies.length,
    seconds,
    rate: latencies.length / seconds,
    p50: quantile(latencies, 0.5),
    p99: quantile(latencies, 0.99),
    errors: errors.length,
    error: errors[0],
  };
}

serveParent(load);
process.send('ready');
