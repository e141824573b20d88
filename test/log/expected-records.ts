import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { COMPRESSION_NAMES, type CompressionName } from "../../src/log/compression.ts";
import type { LogRecord, RecordHeader } from "../../src/log/record.ts";

const FIXTURES = join(import.meta.dirname, "fixtures");
const TIME = 1_700_000_000_000;
/** These send no header without a value. */
const NO_NULL_HEADERS = ["kafka-python", "kafkajs", "platformatic"];

export interface ClientFixture {
  readonly file: string;
  readonly client: string;
  readonly codec: CompressionName;
  readonly large: boolean;
}

export function clientFixtures(): ClientFixture[] {
  return readdirSync(FIXTURES).flatMap((file) => {
    const match =
      /^(java|librdkafka|kafka-python|kafkajs|platformatic)-(none|gzip|snappy|lz4|zstd)(-large)?\.bin$/.exec(
        file,
      );
    if (match === null) return [];
    const [, client = "", , large] = match;
    const codec = COMPRESSION_NAMES.find((name) => name === match[2]) ?? "none";
    return [{ file, client, codec, large: large !== undefined }];
  });
}

export function readFixture(file: string): Uint8Array {
  return new Uint8Array(readFileSync(join(FIXTURES, file)));
}

/** What fixtures/README.md says that every client sent. */
export function expectedRecords({ client, large }: ClientFixture): LogRecord[] {
  if (large) {
    return Array.from({ length: 2_000 }, (_, offset) => {
      const flight = Math.floor(offset / 10);
      const delay = (offset * 37) % 91;
      const value = `{"flight":${flight},"origin":"ABQ","destination":"SFO","carrier":"Southwest Airlines","delay":${delay}}`;
      return record(offset, TIME + offset, `k${offset % 7}`, value);
    });
  }
  const headers: RecordHeader[] = [
    { key: "trace", value: utf8("abc") },
    { key: "trace", value: utf8("second") },
    { key: "empty", value: utf8("") },
    { key: "größe", value: utf8("ü") },
  ];
  if (!NO_NULL_HEADERS.includes(client)) headers.push({ key: "null", value: null });
  return [
    { ...record(0, TIME, "k0", "value 0"), headers },
    record(1, TIME + 1, null, "no key"),
    record(2, TIME + 7, "k2", null),
    record(3, TIME + 3, "", ""),
    ...Array.from({ length: 10 }, (_, index) =>
      record(index + 4, TIME + index + 4, `key ${index + 4}`, "flight ".repeat(14) + (index + 4)),
    ),
  ];
}

function record(offset: number, timestamp: number, key: string | null, value: string | null): LogRecord {
  return { offset, timestamp, key: utf8(key), value: utf8(value), headers: [] };
}

function utf8(text: string | null): Uint8Array | null {
  return text === null ? null : new TextEncoder().encode(text);
}
