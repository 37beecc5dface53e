/** Reads AGENT_CREDENTIALS_FILE: tokens for agents that want to know who calls. No word of it is ever quoted. */
import { z } from 'zod';
import { Endpoint } from '../../agents/registration.js';
import { OrchestratorError } from '../../kernel/errors.js';
import { parseJson } from '../../kernel/json.js';
import { readSecret } from '../../kernel/secret-file.system.js';
import { trustworthyUrl } from '../../kernel/setting.js';
import { Credentials } from './credentials.client.js';

const Visible = z.string().regex(/^[\x21-\x7e]+$/, 'must be characters without blanks');

const Given = z.strictObject({ at: Endpoint, token: Visible });
const Fetched = z.strictObject({
  at: Endpoint,
  token_url: trustworthyUrl(),
  client_id: Visible,
  client_secret: z.string().min(1),
  scope: z.string().min(1).optional(),
  audience: z.string().min(1).optional(),
  client_auth: z.enum(['basic', 'body'], 'must be basic or body').default('basic'),
});

export async function readCredentials(file: string | undefined): Promise<Credentials> {
  if (file === undefined) return Credentials.none;
  const wrong = (why: string) => new OrchestratorError('bad_configuration', `credentials file ${file}: ${why}`);
  const content = await read(file, wrong);
  const entries = z.strictObject({ credentials: z.array(z.looseObject({})).max(1000) }).safeParse(content);
  if (!entries.success) throw wrong('must be {"credentials": […]}; docs/agents.md shows what stands in it');
  const checked = entries.data.credentials.map((entry, i) => {
    const parsed = ('token' in entry ? Given : Fetched).safeParse(entry);
    if (parsed.success) return parsed.data;
    // zod quotes no values, so no secret is told.
    const issues = parsed.error.issues.map((issue) => [issue.path.join('.'), issue.message].filter(Boolean).join(': '));
    throw wrong(`credentials.${i} is wrong: ${issues.join('; ')}`);
  });
  const places = checked.map(({ at }) => at.replace(/\/+$/, ''));
  const twice = places.find((place, i) => places.indexOf(place) < i);
  if (twice !== undefined) throw wrong(`${twice} stands there twice; which token is it to get?`);
  return new Credentials(checked);
}

async function read(file: string, wrong: (why: string) => OrchestratorError): Promise<unknown> {
  const text = await readSecret(file, wrong);
  if (text === null) throw wrong('there is no such file');
  try {
    return parseJson(text);
  } catch {
    throw wrong('it is not JSON');
  }
}
