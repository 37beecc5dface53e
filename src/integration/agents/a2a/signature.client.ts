/**
 * Signatures of agent cards (A2A 1.0 §8.4): a detached JWS over the canonical JSON of the card without its `signatures`.
 *
 * Whose key? We keep no list of trusted keys, so a key counts only if the card's own origin publishes it (`jku`): then the card is what the
 * owner of that origin signed, wherever it passed through since. A signature whose key is elsewhere, or nowhere, proves nothing to us: such a
 * card counts as unsigned. One that does not fit the key it names is refused.
 */
import { AgentCard } from '@a2a-js/sdk';
import { base64url, createLocalJWKSet, decodeProtectedHeader, errors, flattenedVerify, type JSONWebKeySet } from 'jose';
import { z } from 'zod';
import { canonicalJson } from '../../../kernel/canonical.js';
import { type JsonValue, parseJson, parseJsonBytes, toJsonValue } from '../../../kernel/json.js';
import { notUnderstood } from './card.js';

const MAX_SIGNATURES = 5;
/** Only what needs a private key. */
const ALGORITHMS = ['ES256', 'ES384', 'ES512', 'RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512', 'EdDSA', 'Ed25519'];

type Json = { [name: string]: JsonValue };
const Signatures = z.array(z.looseObject({ protected: z.string(), signature: z.string() }));
const Header = z.looseObject({ jku: z.string() });
const Jwks = z.looseObject({ keys: z.array(z.looseObject({ kty: z.string() })).max(100) });

export interface Checked {
  readonly signature: 'unsigned' | 'valid';
  /** What may be read of the card: of a signed one, only what the signature covers. */
  readonly document: JsonValue;
}

/** `fetchKeys` fetches from addresses of the card's origin, bounded. Throws `agent_not_understood` if a signature is wrong. */
export async function checkSignatures(
  document: JsonValue,
  cardUrl: string,
  fetchKeys: (url: string) => Promise<Buffer | null>,
): Promise<Checked> {
  const { signatures, ...card } = (document ?? {}) as Json;
  const unsigned = { signature: 'unsigned', document } as const;
  if (signatures === undefined || signatures === null) return unsigned;
  const parsed = Signatures.safeParse(signatures);
  if (!parsed.success) throw notUnderstood('its signatures are not of the form {protected, signature}');
  let wrong: string | null = null;
  for (const signature of parsed.data.slice(0, MAX_SIGNATURES)) {
    const keys = await keysOf(signature, cardUrl, fetchKeys);
    if (!keys) continue;
    const covered = await verified(signature, keys, card);
    if (typeof covered !== 'string') return { signature: 'valid', document: covered };
    wrong ??= covered;
  }
  if (wrong !== null) throw notUnderstood(`its signature is invalid: ${wrong}`);
  return unsigned;
}

async function keysOf(signature: { protected: string }, cardUrl: string, fetchKeys: (url: string) => Promise<Buffer | null>) {
  try {
    const { jku } = Header.parse(decodeProtectedHeader(signature));
    if (new URL(jku).origin !== new URL(cardUrl).origin) return null;
    const bytes = await fetchKeys(jku);
    return bytes && createLocalJWKSet(Jwks.parse(parseJsonBytes(bytes)) as JSONWebKeySet);
  } catch {
    return null; // no header, no key: nothing that could be checked
  }
}

/** The card as the signature covers it, or why it does not. */
async function verified(
  signature: { protected: string; signature: string },
  keys: ReturnType<typeof createLocalJWKSet>,
  card: Json,
): Promise<JsonValue | string> {
  let why = '';
  for (const { text, covers } of canonicalForms(card)) {
    const payload = base64url.encode(new TextEncoder().encode(text));
    try {
      await flattenedVerify({ protected: signature.protected, signature: signature.signature, payload }, keys, { algorithms: ALGORITHMS });
      return covers;
    } catch (error) {
      why = error instanceof errors.JOSEError ? error.message : 'it cannot be checked';
    }
  }
  return why;
}

/**
 * The specification leaves out members that have their default; implementations differ in what that is. The card as served, without empty
 * members as the SDKs sign it, and without the members A2A does not know either: each signs one of these.
 */
function* canonicalForms(card: Json): Generator<{ text: string; covers: JsonValue }> {
  yield { text: canonicalJson(card), covers: card };
  yield { text: canonicalJson(withoutEmpty(card) ?? {}), covers: card };
  const known = toJsonValue(AgentCard.toJSON(AgentCard.fromJSON(parseJson(JSON.stringify(card)))));
  yield { text: canonicalJson(withoutEmpty(known) ?? {}), covers: known };
}

function withoutEmpty(value: JsonValue): JsonValue {
  if (value === '' || value === null) return null;
  if (Array.isArray(value)) {
    const kept = value.map(withoutEmpty).filter((item) => item !== null);
    return kept.length > 0 ? kept : null;
  }
  if (typeof value !== 'object') return value;
  const kept = Object.entries(value).flatMap(([name, inner]): [string, JsonValue][] => {
    const clean = withoutEmpty(inner);
    return clean === null ? [] : [[name, clean]];
  });
  return kept.length > 0 ? Object.fromEntries(kept) : null;
}
