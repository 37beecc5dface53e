/** The agents a server lists: which, and what becomes of those that cannot be used. */
import type { Discovered, Discovery } from '../../../agents/agent-protocol.js';
import { OrchestratorError } from '../../../kernel/errors.js';

const MAX_AGENTS = 1000;
const AT_ONCE = 8;
/** Of all documents of one server, which are held together. */
const MAX_BYTES = 32 * 1024 * 1024;
export const PAGE = 100;

export interface Listed {
  readonly names: readonly string[];
  readonly skipped: readonly string[];
}

/** Null if the first page has nobody that `nameOf` knows: it is some other list. A server that knows no paging answers every page with all it has. */
export async function listed(
  page: (offset: number) => Promise<readonly unknown[] | null>,
  nameOf: (item: unknown) => string | undefined,
): Promise<Listed | null> {
  const names = new Set<string>();
  const skipped: string[] = [];
  for (let offset = 0; ; offset += PAGE) {
    const here = (await page(offset))?.map(nameOf);
    if (!here || (offset === 0 && here.every((name) => name === undefined))) return null;
    const known = names.size;
    for (const [i, name] of here.entries()) {
      if (name === undefined) skipped.push(`agent ${offset + i + 1} of the list is none that this protocol knows`);
      else if (here.indexOf(name) < i) skipped.push(`agent ${name} is listed twice`);
      else if (names.size < MAX_AGENTS) names.add(name);
    }
    if (names.size === MAX_AGENTS) skipped.push(`no more than the first ${MAX_AGENTS} agents of the list are taken`);
    else if (here.length === PAGE && names.size > known) continue;
    return { names: [...names], skipped };
  }
}

/**
 * Everybody on the list by a document of his own; `read` throws `agent_not_understood` of one that cannot be used. Two who would get the same id
 * cannot both have it.
 */
export async function everyone({ names, skipped }: Listed, read: (name: string) => Promise<Discovered>): Promise<Discovery> {
  const found = new Map<string, Discovered | string>();
  const waiting = names.values();
  let bytes = 0;
  const reader = async () => {
    for (const name of waiting) {
      const agent =
        bytes > MAX_BYTES ? `the documents before it have more than ${MAX_BYTES} bytes together` : await read(name).catch(unused);
      if (typeof agent !== 'string') bytes += agent.document.bytes.length;
      found.set(name, agent);
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, reader));
  const agents = new Map<string, Discovered>();
  const reasons: string[] = [];
  for (const name of names) {
    const agent = found.get(name)!;
    if (typeof agent === 'string') reasons.push(`agent ${name}: ${agent}`);
    else if (!agents.has(agent.description.agent_id)) agents.set(agent.description.agent_id, agent);
    else
      reasons.push(
        `agent ${name}: another one here is called ${agent.description.agent_id}; register ${agent.endpoint} with an agent_id of its own`,
      );
  }
  return { agents: [...agents.values()], skipped: [...reasons, ...skipped] };
}

function unused(error: unknown): string {
  if (error instanceof OrchestratorError && error.code === 'agent_not_understood') return error.message;
  throw error;
}
