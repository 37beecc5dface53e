/** An id by our rules from whatever an agent calls itself: `Hello World Agent` is hello-world-agent. Empty if there is nothing to make one of. */
export const agentIdFrom = (name: string): string => fitted(name.toLowerCase(), /[^a-z0-9._-]+/g, 64);

/** What a stranger calls something, with `-` for each run of what may not stand there, from its first letter or digit on. May be empty. */
export function fitted(text: string, unfit: RegExp, most: number): string {
  const begun = text.replace(unfit, '-').replace(/^[^A-Za-z0-9]+/, '');
  return begun.slice(0, most).replace(/-+$/, ''); // cut first: looking for the end of a long text takes time by the square of its length
}
