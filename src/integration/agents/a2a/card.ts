/** An agent card of A2A 1.0 or 0.3, as far as we read it, and which of its interfaces is called at which address. */
import { z } from 'zod';
import { OrchestratorError } from '../../../kernel/errors.js';
import type { JsonValue } from '../../../kernel/json.js';

export const MAX_SKILLS = 500;
const MAX_TOLD = 5;

const Text = z.string().nullish();
const Texts = z.array(z.string()).nullish();

const Skill = z.looseObject({
  id: z.string().min(1),
  name: Text,
  description: Text,
  tags: Texts,
  examples: z.array(z.custom<JsonValue>()).nullish(),
  inputModes: Texts,
});

const shared = {
  name: z.string().min(1),
  description: Text,
  version: Text,
  capabilities: z
    .looseObject({
      streaming: z.boolean().nullish(),
      extensions: z.array(z.looseObject({ uri: z.string(), params: z.custom<JsonValue>().nullish() })).nullish(),
    })
    .nullish(),
  defaultInputModes: Texts,
  skills: z.array(Skill).min(1, 'lists no skill, so there is nothing to ask of the agent'),
};
const Interface = z.looseObject({ url: z.string(), protocolBinding: z.string(), protocolVersion: Text, tenant: Text });
const Card10 = z.looseObject({ ...shared, supportedInterfaces: z.array(Interface).min(1) });
const Card03 = z.looseObject({
  ...shared,
  url: z.string(),
  preferredTransport: Text,
  additionalInterfaces: z.array(z.looseObject({ url: z.string(), transport: z.string() })).nullish(),
});

export type Skill = z.output<typeof Skill>;
type Card10 = z.output<typeof Card10>;
type Card03 = z.output<typeof Card03>;
export type Card = Card10 | Card03;

/** Where and how an agent is called. */
export interface Address {
  readonly url: string;
  readonly protocolBinding: string;
  /** `1.0` or `0.3`. */
  readonly protocolVersion: string;
  readonly tenant: string;
}

/** Throws `agent_not_understood` with the places that are wrong. */
export function readCard(document: JsonValue): Card {
  const { skills, supportedInterfaces } = (document ?? {}) as { skills?: unknown; supportedInterfaces?: unknown };
  if (Array.isArray(skills) && skills.length > MAX_SKILLS)
    throw notUnderstood(`it has ${skills.length} skills, at most ${MAX_SKILLS} are allowed`);
  const parsed = (supportedInterfaces === undefined ? Card03 : Card10).safeParse(document);
  if (parsed.success) return parsed.data;
  const all = parsed.error.issues.map(({ path, message }) => `${path.join('.') || 'the card'}: ${message}`);
  const more = all.length > MAX_TOLD ? `; and ${all.length - MAX_TOLD} more` : '';
  throw notUnderstood(`${all.slice(0, MAX_TOLD).join('; ')}${more}`);
}

/**
 * The interface that is called: JSON-RPC or HTTP+JSON, of the card's own origin before others, 1.0 before 0.3, then as the card prefers.
 * `home` is the address the card was found under.
 */
export function addressOf(card: Card, home: string): Address {
  const offered = offers(card);
  const usable = offered.flatMap((offer) => {
    const known = ['JSONRPC', 'HTTP+JSON'].includes(offer.protocolBinding.toUpperCase());
    const version = versionOf(offer.protocolVersion);
    const url = believed(offer.url, home);
    if (!known || !version || !url) return [];
    const strange = Number(url.origin !== new URL(home).origin);
    const old = Number(version === '0.3');
    return [{ ...offer, url: url.href, protocolVersion: version, rank: strange * 2 + old }];
  });
  const [best] = usable.sort((a, b) => a.rank - b.rank);
  if (best)
    return {
      url: best.url,
      protocolBinding: best.protocolBinding.toUpperCase(),
      protocolVersion: best.protocolVersion,
      tenant: best.tenant,
    };
  const listed = offered.slice(0, MAX_TOLD).map((o) => `${o.protocolBinding} ${o.protocolVersion} at ${o.url}`);
  throw notUnderstood(
    `none of its interfaces can be called (${listed.join(', ').slice(0, 500)}); needed is JSONRPC or HTTP+JSON of version 1.0 or 0.3 at an http or https URL`,
  );
}

/** Whether the card speaks of an interface under the path of this address. */
export const names = (card: Card, address: string) =>
  offers(card).some(({ url }) => URL.parse(url)?.pathname === new URL(address).pathname);

function offers(card: Card): Address[] {
  if ('supportedInterfaces' in card)
    return (card as Card10).supportedInterfaces.map(({ url, protocolBinding, protocolVersion, tenant }) => ({
      url,
      protocolBinding,
      protocolVersion: protocolVersion ?? '1.0',
      tenant: tenant ?? '',
    }));
  // What came before 0.3 in this shape of card is spoken to as 0.3: the messages are the same.
  const { url, preferredTransport, additionalInterfaces } = card as Card03;
  const all = [{ url, transport: preferredTransport ?? 'JSONRPC' }, ...(additionalInterfaces ?? [])];
  return all.map((one) => ({ url: one.url, protocolBinding: one.transport, protocolVersion: '0.3', tenant: '' }));
}

function versionOf(said: string): '1.0' | '0.3' | null {
  if (/^1(\.|$)/.test(said)) return '1.0';
  return /^0\.3(\.|$)/.test(said) || said === '' ? '0.3' : null;
}

/**
 * A card that names this machine was written before it knew where it would run: then the address it was fetched from counts, and of the
 * named one only the path. Any other origin is believed, since a card may live apart from its agent, and is guarded like every address.
 */
function believed(said: string, home: string): URL | null {
  const base = new URL(home);
  const url = URL.parse(said);
  if (!url || !['http:', 'https:'].includes(url.protocol) || url.username || url.password) return null;
  if (!isThisMachine(url.hostname)) return url;
  const prefix = (home.endsWith('.json') ? new URL('.', base) : base).pathname.replace(/\/$/, '');
  const inside = url.pathname === prefix || url.pathname.startsWith(`${prefix}/`);
  return new URL(`${inside ? '' : prefix}${url.pathname}${url.search}`, base.origin);
}

const isThisMachine = (host: string) => /^(localhost|.+\.localhost|127(\.\d+){3}|0\.0\.0\.0|\[::1?\]|\[::ffff:7f..:.+\])$/.test(host);

export const notUnderstood = (why: string) => new OrchestratorError('agent_not_understood', `the agent card cannot be used: ${why}`);
