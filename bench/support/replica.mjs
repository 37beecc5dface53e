/** One replica of contention.mjs: a Database and an Appender of its own, writing into the stream it is told. */
import { oneDraft, toolsOf } from './appending.mjs';
import { built } from './database.mjs';
import { serveParent } from './processes.mjs';

const { options, url, poolSize } = JSON.parse(process.argv[2]);
const { Database } = await built(options.root, 'ledger/database.postgres.js');
const tools = await toolsOf(options);
const db = await Database.connect({ url, poolSize });

serveParent(async ({ stream, writers, milliseconds }) => {
  const appender = new tools.Appender(db);
  const latencies = [];
  const refused = [];
  const until = performance.now() + milliseconds;
  const writer = async () => {
    while (performance.now() < until) {
      const at = performance.now();
      try {
        const { refusal } = await appender.append({ stream, drafts: [oneDraft(tools)] });
        if (refusal) throw new Error(`refused: ${refusal.code}`);
        latencies.push(performance.now() - at);
      } catch (error) {
        refused.push(error.message);
      }
    }
  };
  await Promise.all(Array.from({ length: writers }, writer));
  await appender.drain();
  const { lost, most_losses } = appender.status();
  return { latencies, refused: refused.length, error: refused[0], lost, most_losses };
});
process.on('disconnect', () => process.exit(0));
process.send('ready');
