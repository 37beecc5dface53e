/** What changed between two descriptions of an agent, for people. */
import { canonicalJson } from '../kernel/canonical.js';
import type { JsonValue } from '../kernel/json.js';
import type { Registration } from './registration.js';

const MOST_TOLD = 20;

/** Such as `version 1.0.0 → 1.1.0; capability +sum; capability echo: input_schema`; empty if nothing did. */
export function changes(before: Registration, after: Registration): string {
  const told: string[] = [];
  for (const name of ['name', 'version', 'protocol', 'endpoint'] as const) {
    if (before[name] !== after[name]) told.push(`${name} ${before[name] ?? 'none'} → ${after[name] ?? 'none'}`);
  }
  for (const name of ['description', 'weight', 'max_concurrency', 'max_queue', 'breaker', 'lease_seconds'] as const)
    if (text(before[name]) !== text(after[name])) told.push(name);
  const [old, now] = [byName(before), byName(after)];
  for (const name of now.keys()) if (!old.has(name)) told.push(`capability +${name}`);
  for (const name of old.keys()) if (!now.has(name)) told.push(`capability -${name}`);
  for (const [name, capability] of now) {
    const members = differing(old.get(name) ?? capability, capability);
    if (members.length > 0) told.push(`capability ${name}: ${members.join(', ')}`);
  }
  return told.slice(0, MOST_TOLD).join('; ') + (told.length > MOST_TOLD ? ` and ${told.length - MOST_TOLD} more` : '');
}

type Capability = Registration['capabilities'][number];

const byName = ({ capabilities }: Registration) => new Map(capabilities.map((capability) => [capability.name, capability]));

function differing(before: Capability, after: Capability): string[] {
  const names = [...new Set([...Object.keys(before), ...Object.keys(after)])] as (keyof Capability)[];
  return names.filter((name) => text(before[name]) !== text(after[name]));
}

const text = (value: unknown) => (value === undefined ? '' : canonicalJson(value as JsonValue));
