/** kcat's format strings: how `consume -f` prints a record. */

import type { ConsumedRecord } from "../client/record.ts";
import { UsageError } from "./errors.ts";

export type RecordPrinter = (record: ConsumedRecord) => Uint8Array;

/**
 * `%s` value, `%S` its size (-1: null), `%R` its size as a big-endian int32, `%k` key, `%K` its size, `%h` headers as
 * `name=value,…`, `%t` topic, `%p` partition, `%o` offset, `%T` timestamp in ms, `%%` a percent sign; `\n`, `\r`, `\t`,
 * `\\`, `\0` and `\xNN` as in C.
 *
 * @throws {UsageError} an unknown token
 */
export function recordFormat(format: string): RecordPrinter {
  const parts = [...format.matchAll(TOKEN)].map(([token]) => part(token));
  return (record) => Buffer.concat(parts.map((print) => print(record)));
}

type Part = (record: ConsumedRecord) => Buffer;

const TOKEN = /%.?|\\x[0-9a-fA-F]{2}|\\.?|[^%\\]+/gsu;

const ESCAPES: Readonly<Record<string, string>> = { n: "\n", r: "\r", t: "\t", "0": "\0", "\\": "\\" };

const FIELDS: Readonly<Record<string, (record: ConsumedRecord) => Uint8Array | string | number | null>> = {
  s: ({ value }) => value,
  S: ({ value }) => value?.length ?? -1,
  R: ({ value }) => int32(value?.length ?? -1),
  k: ({ key }) => key,
  K: ({ key }) => key?.length ?? -1,
  h: (record) => headers(record),
  t: ({ topic }) => topic,
  p: ({ partition }) => partition,
  o: ({ offset }) => offset,
  T: ({ timestamp }) => timestamp,
};

function part(token: string): Part {
  if (token.startsWith("%")) return field(token);
  const bytes = literal(token);
  return () => bytes;
}

function literal(token: string): Buffer {
  if (token.startsWith("\\x") && token.length === 4)
    return Buffer.from([Number.parseInt(token.slice(2), 16)]);
  return Buffer.from(token.startsWith("\\") ? (ESCAPES[token.slice(1)] ?? token) : token);
}

function field(token: string): Part {
  if (token === "%%") return () => Buffer.from("%");
  const read = FIELDS[token.slice(1)];
  if (read === undefined) {
    throw new UsageError(
      `--format: ${token} is unknown; there are %${Object.keys(FIELDS).join(" %")} and %%`,
    );
  }
  return (record) => toBuffer(read(record));
}

function toBuffer(value: Uint8Array | string | number | null): Buffer {
  if (value === null) return Buffer.alloc(0);
  if (typeof value === "number") return Buffer.from(String(value));
  return typeof value === "string"
    ? Buffer.from(value)
    : Buffer.from(value.buffer, value.byteOffset, value.byteLength);
}

function int32(value: number): Uint8Array {
  const bytes = Buffer.alloc(4);
  bytes.writeInt32BE(value);
  return bytes;
}

function headers(record: ConsumedRecord): Uint8Array {
  const pairs = record.headers.flatMap(({ key, value }, i) => [
    Buffer.from(`${i === 0 ? "" : ","}${key}=`),
    value === null ? Buffer.from("NULL") : toBuffer(value),
  ]);
  return Buffer.concat(pairs);
}
