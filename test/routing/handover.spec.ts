import type { JsonSchema } from '../../src/agents/json-schema.js';
import { handover } from '../../src/routing/handover.js';

const schema = (properties: Record<string, JsonSchema>, more: object = {}): JsonSchema => ({ type: 'object', properties, ...more });
const TEXT = { type: 'string' };

describe('what somebody said becomes', () => {
  it.each<[string, JsonSchema | undefined, Record<string, string>, string | null]>([
    ['`message` where there is no schema', undefined, {}, 'message'],
    ['`message` where the schema says nothing of members', { type: 'object' }, {}, 'message'],
    ['`message` where the schema has it', schema({ message: TEXT, city: TEXT }), {}, 'message'],
    ['`message` of any type', schema({ message: {} }), {}, 'message'],
    ['the one text that is required', schema({ text: TEXT, loud: { type: 'boolean' } }, { required: ['text'] }), {}, 'text'],
    ['the one text that is still missing', schema({ text: TEXT, to: TEXT }, { required: ['text', 'to'] }), { to: 'fr' }, 'text'],
    ['nothing where two are missing', schema({ text: TEXT, to: TEXT }, { required: ['text', 'to'] }), {}, null],
    ['nothing where what is missing is no text', schema({ n: { type: 'number' } }, { required: ['n'] }), {}, null],
    ['nothing where what is missing is one of a list', schema({ to: { type: 'string', enum: ['fr'] } }, { required: ['to'] }), {}, null],
    ['nothing where no text is required', schema({ city: TEXT }), {}, null],
    ['nothing where no member is allowed', { type: 'object', additionalProperties: false }, {}, null],
    ['nothing where the caller gave it', schema({ message: TEXT }), { message: 'mine' }, null],
    ['nothing where `message` is no text', schema({ message: { type: 'number' } }), {}, null],
  ])('%s', (_, given, parameters, as) => {
    const result = handover('Hello', parameters, given);
    expect(result).toEqual({ as, parameters: as === null ? parameters : { ...parameters, [as]: 'Hello' } });
  });
});
