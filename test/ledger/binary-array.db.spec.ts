import fc from 'fast-check';
import { binaryArray, binaryRows } from '../../src/ledger/binary-array.js';
import { describeEachDatabase } from '../support/databases.js';

const orNull = <T>(one: fc.Arbitrary<T>) => fc.array(fc.option(one), { maxLength: 20 });
const text = fc.string({ unit: 'grapheme' }).filter((s) => !s.includes('\0'));

describeEachDatabase('an array in binary', (open) => {
  it('arrives as it was sent, nulls, empty arrays and every kind of element', async () => {
    const { db } = await open();
    await fc.assert(
      fc.asyncProperty(
        orNull(text),
        orNull(fc.uint8Array().map((bytes) => Buffer.from(bytes))),
        orNull(fc.maxSafeInteger()),
        orNull(fc.double({ noNaN: true })),
        async (texts, buffers, integers, floats) => {
          const [row] = await db.query(
            'SELECT $1::text[] AS texts, $2::bytea[] AS buffers, $3::bigint[]::text[] AS integers, $4::float8[] AS floats',
            [binaryArray('text', texts), binaryArray('bytea', buffers), binaryArray('bigint', integers), binaryArray('float8', floats)],
          );
          expect(row).toEqual({ texts, buffers, integers: integers.map((n) => (n === null ? null : String(n))), floats });
        },
      ),
      { numRuns: 60 },
    );
  });

  it('of rows arrives as it was sent', async () => {
    const { db } = await open();
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.tuple(fc.option(text), fc.option(text), fc.option(text), fc.option(fc.double({ noNaN: true }))), { maxLength: 20 }),
        async (rows) => {
          const found = await db.query(
            'SELECT id, stream, owner, secs FROM unnest($1::append_open[]) WITH ORDINALITY ORDER BY ordinality',
            [binaryRows(['text', 'text', 'text', 'float8'], rows)],
          );
          expect(found.map(Object.values)).toEqual(rows);
        },
      ),
      { numRuns: 60 },
    );
  });
});
