import { setTimeout as sleep } from 'node:timers/promises';

/** Asks again and again, at most ten seconds. */
export async function until(what: string, holds: () => Promise<boolean> | boolean, milliseconds = 10_000): Promise<void> {
  const end = Date.now() + milliseconds;
  while (!(await holds())) {
    if (Date.now() > end) throw new Error(`waited ${milliseconds} ms in vain until ${what}`);
    await sleep(10);
  }
}
