/** What several answers are made of. */
import { z } from 'zod';
import type { JsonValue } from '../kernel/json.js';

export const Json = z.custom<JsonValue>().meta({ description: 'Any JSON value' });

/** Text that is compared with names in the database, which holds no control characters and takes no NUL. */
export const Name = (max: number) =>
  z
    .string()
    .max(max)
    .regex(/^\P{Cc}*$/u, 'must not contain control characters');

export const Ulid = z
  .string()
  .regex(/^[0-9A-HJKMNP-TV-Z]{26}$/, 'must be a ULID: 26 characters')
  .meta({ examples: ['01M7ZBSG2SZ3SMERRYNBVMZE94'] });

export const Time = z.string().meta({ format: 'date-time', examples: ['2026-11-21T15:32:25.367Z'] });

export const Hash = z
  .string()
  .regex(/^[0-9a-f]{64}$/)
  .describe('SHA-256 of the record, as docs/ledger.md defines it');

export const Receipt = z
  .object({ stream: z.string(), seq: z.int().min(1), hash: Hash })
  .meta({ id: 'Receipt', description: 'Where an event stands in the record, and the hash to remember it by' });

export const Limit = z.coerce.number().int().min(1).max(1000).default(100).describe('Items per page');

export const Cursor = z.string().max(64).optional().describe('`next_cursor` of the page before');

export const NextCursor = z.string().nullable().describe('For the next page; null: this was the last one');

/** How agents hand over files: by reference, with what it takes to recognise them. */
export const FileReference = z
  .object({
    name: z.string().optional(),
    media_type: z.string().optional(),
    url: z.string().optional().describe('Where the agent says it is; absent if it came inside the answer'),
    size: z.number().optional().describe('In bytes'),
    sha256: z.string().optional().describe('Of the content that came inside the answer, hex'),
  })
  .meta({ id: 'FileReference', description: 'A file an agent made. Its content is not recorded' });

/** Any well-formed text of 1 to 128 characters without control characters. */
export const SessionId = z
  .string()
  .min(1)
  .max(128)
  .refine((text) => text.isWellFormed() && !/\p{Cc}/u.test(text), 'must not contain control characters')
  .meta({
    description: 'The caller’s id of the session: 1 to 128 characters of any script, no control characters',
    pattern: '^\\P{Cc}+$',
    examples: ['first'],
  });
