/** An id by our rules from whatever an agent calls itself: `Hello World Agent` is hello-world-agent. */
export function agentIdFrom(name: string): string {
  const id = name
    .toLowerCase()
    .replace(/[^a-z0-9._-]+/g, '-')
    .replace(/^[^a-z0-9]+/, '')
    .slice(0, 64)
    .replace(/-+$/, '');
  return id || 'agent';
}
