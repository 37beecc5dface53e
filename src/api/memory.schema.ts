import { z } from 'zod';
import { MemoryContent, Statement } from '../memory/block.js';
import { Receipt, SessionId, Time, Ulid } from './words.schema.js';

export const CompressBody = z
  .strictObject({
    session_id: SessionId,
    intent: z.string().max(4000).optional().describe('What the memory is wanted for, in words'),
  })
  .meta({ id: 'CompressBody', examples: [{ session_id: 'first' }] });

export const CompressQuery = z.strictObject({
  require: z
    .enum(['llm'])
    .optional()
    .describe('`llm`: answer 503 rather than extract; what could only be extracted before is summarised again'),
});

const BlockTime = z.iso.datetime({ offset: true });

export const MemoryQuery = z
  .strictObject({
    at: z
      .union([Ulid, BlockTime], 'must be a time (ISO 8601 with an offset) or the id of a memory block')
      .optional()
      .describe('The block of this id, or the newest one of this time (ISO 8601 with an offset)'),
    all: z.enum(['true', 'false']).default('false').describe('All blocks, newest first, at most a hundred'),
  })
  .refine(({ at, all }) => at === undefined || all === 'false', { error: 'ask for at or for all, not for both', path: ['all'] });

/** What an id of a block looks like, as opposed to a time. */
export const isBlockId = (at: string): boolean => Ulid.safeParse(at).success;

const Delivery = z.enum(['off', 'waiting', 'delivered', 'refused']).describe('Whether MemAgent has it; `refused`: it does not want it');

const Said = Statement.meta({ id: 'MemoryStatement', description: 'Something said, and the ids of the REQUESTs it rests on' });
const said = z.array(Said);

export const MemoryBlock = z
  .object({
    memory_block_id: Ulid.describe('Of the event session.compressed'),
    session_id: z.string().nullable().describe('Null: erased'),
    ...MemoryContent.shape,
    sentences: said,
    key_decisions: said,
    facts: said,
    preferences: said,
    open_questions: said,
    failures: said,
    compressed_at: Time,
    memagent: Delivery,
    receipt: Receipt.describe('Of the event session.compressed'),
  })
  .meta({ id: 'MemoryBlock', description: 'The compressed form of a session: docs/memory.md explains each member' });

export const CompressAnswer = z
  .object({
    status: z.enum(['ok', 'error']).describe('`error` only as the last of server-sent events'),
    session_id: z.string(),
    compressed: z.boolean().describe('There is a block'),
    created: z.boolean().describe('This call made it; false: nothing had happened since it was made'),
    memory_block: MemoryBlock.nullable(),
    memagent: Delivery.nullable(),
    error: z.string().nullable(),
    code: z.string().optional().describe('Of the problem; only as the last of server-sent events'),
  })
  .meta({ id: 'CompressAnswer' });

/** What stands in `data` of each event, by its name. */
export const CompressEvent = z
  .discriminatedUnion('event', [
    z.object({
      event: z.literal('progress').describe('How far it is'),
      data: z.object({
        step: z.enum(['read', 'count', 'summarize', 'merge', 'record']),
        done: z.int().min(0),
        total: z.int().min(0),
      }),
    }),
    z.object({ event: z.literal('done').describe('Last: what the call without events answers'), data: CompressAnswer }),
    z.object({
      event: z.literal('error').describe('Instead: its `status` is `error`, with the `code` of a problem'),
      data: CompressAnswer,
    }),
  ])
  .meta({ id: 'CompressEvent', description: 'One event of the stream: its name, and its data as JSON in one line' });

export const MemoryAnswer = z
  .object({
    session_id: z.string(),
    memory_block: MemoryBlock.nullable().optional().describe('Null: it has none, or had none by then'),
    memory_blocks: z.array(MemoryBlock).optional().describe('With `all=true`'),
    total: z.int().min(0).optional().describe('With `all=true`'),
  })
  .meta({ id: 'MemoryAnswer' });
