/** Reads the operator's rules, once, at start. */
import { readFile } from 'node:fs/promises';
import { OrchestratorError } from '../kernel/errors.js';
import { parseJson } from '../kernel/json.js';
import { RoutingFile, Rules } from './rules.js';

const USUAL = './data/routing.json';

/** undefined: nobody named a file; then the usual one, and none if that is not there. */
export async function readRules(named: string | undefined): Promise<Rules> {
  const file = named ?? USUAL;
  const wrong = (why: string) => new OrchestratorError('bad_configuration', `routing file ${file}: ${why}`);
  let text: string;
  try {
    text = await readFile(file, 'utf8');
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (named === undefined && code === 'ENOENT') return new Rules(RoutingFile.parse({}));
    throw wrong(`it cannot be read: ${message}; set ROUTING_FILE or put {"rules": []} there`);
  }
  let content: unknown;
  try {
    content = parseJson(text);
  } catch (error) {
    throw wrong((error as Error).message);
  }
  const parsed = RoutingFile.safeParse(content);
  if (parsed.success) return new Rules(parsed.data);
  throw wrong(parsed.error.issues.map(({ path, message }) => [path.join('.'), message].filter(Boolean).join(': ')).join('; '));
}
