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
  let nulls = 0;
  for (const value of values) {
    size += 4 + sizeOf(value);
    if (value === null || value === undefined) nulls = 1;
  }
  const bytes = Buffer.allocUnsafe(size);
  bytes.writeInt32BE(values.length === 0 ? 0 : 1, 0);
  bytes.writeInt32BE(nulls, 4);
  bytes.writeInt32BE(OIDS[type], 8);
  bytes.writeInt32BE(values.length, 12);
  bytes.writeInt32BE(1, 16);
  let at = HEADER;
  for (const value of values) at = write(bytes, at, type, value);
  return values.length === 0 ? bytes.subarray(0, 12) : bytes;
}

function sizeOf(value: Element): number {
  if (value === null || value === undefined) return 0;
  if (typeof value === 'string') return Buffer.byteLength(value);
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
