import { rm } from 'node:fs/promises';
import { run } from './global-setup.mjs';

export default async function tearDown() {
  const server = process.env.AO_TEST_SERVER;
  if (server) {
    const mine = await run(server, `SELECT datname FROM pg_database WHERE datname ~ '^ao_(template|test)_${process.pid}'`);
    for (const { datname } of mine) await run(server, `DROP DATABASE IF EXISTS ${datname} WITH (FORCE)`);
  }
  await rm(process.env.AO_TEST_SCRATCH, { recursive: true, force: true });
}
