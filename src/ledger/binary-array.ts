/**
 * Arrays in PostgreSQL's binary format (array_recv). As text the driver would quote every string, write every hash as hex and the server
 * would parse it back: together a third of what an append costs outside the executor.
 */

/** SQL type of an element → its OID, which array_recv compares with the parameter's type. */
const OIDS = { text: 25, bytea: 17, bigint: 20, float8: 701 } as const;
const HEADER = 20;

export type ElementType = keyof typeof OIDS;
type Element = string | Buffer | number | null | undefined;

/** One dimension, lower bound 1. text takes strings, bytea Buffers, bigint and float8 numbers; null and undefined are NULL. */
export function binaryArray(type: ElementType, values: readonly Element[]): Buffer {
  let size = HEADER;
  for (const value of values) size += 4 + roomFor(value);
  const bytes = Buffer.allocUnsafe(size);
  let at = header(bytes, OIDS[type], values.length);
  for (const value of values) at = write(bytes, at, type, value);
  return bytes.subarray(0, at);
}

/** A composite type has another OID in every database; since PostgreSQL 14 array_recv compares only those of built-in types. */
const COMPOSITE = 0;

/** Rows of a composite type with these columns, each with a value for every one of them, as one array (record_recv). */
export function binaryRows(columns: readonly ElementType[], rows: readonly (readonly Element[])[]): Buffer {
  let size = HEADER;
  for (const row of rows) {
    size += 8;
    for (const value of row) size += 8 + roomFor(value);
  }
  const bytes = Buffer.allocUnsafe(size);
  let at = header(bytes, COMPOSITE, rows.length);
  for (const row of rows) {
    const start = at;
    at = bytes.writeInt32BE(columns.length, start + 4);
    for (let i = 0; i < columns.length; i++) {
      at = bytes.writeInt32BE(OIDS[columns[i]!], at);
      at = write(bytes, at, columns[i]!, row[i]);
    }
    bytes.writeInt32BE(at - start - 4, start);
  }
  return bytes.subarray(0, at);
}

function header(bytes: Buffer, oid: number, length: number): number {
  bytes.writeInt32BE(length === 0 ? 0 : 1, 0);
  bytes.writeInt32BE(1, 4); // there may be nulls
  bytes.writeInt32BE(oid, 8);
  bytes.writeInt32BE(length, 12);
  bytes.writeInt32BE(1, 16);
  return length === 0 ? 12 : HEADER;
}

/** At most; to count the bytes of a string costs as much as to write it. */
function roomFor(value: Element): number {
  if (value === null || value === undefined) return 0;
  if (typeof value === 'string') return value.length * 3;
  return typeof value === 'number' ? 8 : value.length;
}

function write(bytes: Buffer, at: number, type: ElementType, value: Element): number {
  const start = at + 4;
  if (value === null || value === undefined) {
    bytes.writeInt32BE(-1, at);
    return start;
  }
  let length = 8;
  if (typeof value === 'string') length = bytes.write(value, start);
  else if (typeof value !== 'number') length = value.copy(bytes, start);
  else if (type === 'bigint') bytes.writeBigInt64BE(BigInt(value), start);
  else bytes.writeDoubleBE(value, start);
  bytes.writeInt32BE(length, at);
  return start + length;
}
