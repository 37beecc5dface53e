import { z } from 'zod';

/** An address of an orchestrator, perhaps behind a path of a gateway. */
export const ServerUrl = z.url({ protocol: /^https?$/, error: 'must be a URL like http://127.0.0.1:8888' });

/** What HTTP allows in a header, without blanks. */
export const BearerToken = z.string().regex(/^[\x21-\x7e]+$/, 'must be a bearer token, without blanks or line breaks');

/** Of the commands that speak to a running orchestrator. */
export const ClientSettings = z.object({
  /** Where it is. Unset: this machine. */
  ORCHESTRATOR_URL: ServerUrl.optional(),
  /** Bearer token sent to it. */
  ORCHESTRATOR_TOKEN: BearerToken.optional(),
});
