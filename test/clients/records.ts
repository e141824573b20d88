import { createHash } from "node:crypto";

export interface TestRecord {
  readonly key: Buffer | null;
  readonly value: Buffer | null;
  readonly headers: readonly (readonly [name: string, value: string])[];
}

/** Of the text of a record: letters of one, two, three and four bytes in UTF-8. */
const WORDS = ["offset", "Größe", "файл", "記録", "🚀", "batch", "λ", "partition"];
const KEYS = 997;

/**
 * Text without tabs and line ends, so that every client can carry it. A value begins with its number; several records have
 * the same key; the one header tells who has produced it.
 */
export function textRecords(source: string, count: number): TestRecord[] {
  return Array.from({ length: count }, (_, index) => {
    const words = Array.from({ length: index % 23 }, (_, word) => WORDS[(index + word) % WORDS.length]);
    return {
      key: Buffer.from(`key-${index % KEYS}`),
      value: Buffer.from([String(index).padStart(9, "0"), ...words].join(" ")),
      headers: [["source", source]],
    };
  });
}

/** What only clients can carry that take bytes. */
export function oddRecords(): TestRecord[] {
  const every = Buffer.from(Array.from({ length: 256 }, (_, byte) => byte));
  return [
    { key: null, value: Buffer.from("no key"), headers: [] },
    { key: Buffer.from("no value"), value: null, headers: [["why", "tombstone"]] },
    { key: Buffer.alloc(0), value: Buffer.alloc(0), headers: [["empty", ""]] },
    { key: every, value: every, headers: [["bytes", "all"]] },
    { key: Buffer.from("tab\tand\nline"), value: Buffer.from("🚀"), headers: [["größe", "λ"]] },
    {
      key: Buffer.from("large"),
      value: Buffer.alloc(100_000, "x"),
      headers: [
        ["a", "1"],
        ["b", "2"],
      ],
    },
  ];
}

/** Of keys, values and headers, in this order. */
export function sha256(records: readonly TestRecord[]): string {
  const hash = createHash("sha256");
  const add = (bytes: Buffer | null) => {
    hash.update(`${bytes?.length ?? null}:`);
    if (bytes !== null) hash.update(bytes);
  };
  for (const { key, value, headers } of records) {
    add(key);
    add(value);
    hash.update(JSON.stringify(headers));
  }
  return hash.digest("hex");
}

/**
 * That the same records came back: all of them, none twice, and those of one key in their order.
 *
 * @returns their hash
 */
export function sameRecords(came: readonly TestRecord[], expected: readonly TestRecord[]): string {
  if (came.length !== expected.length) throw new Error(`${came.length} of ${expected.length} records came`);
  const last = new Map<string, Buffer>();
  for (const { key, value } of came) {
    if (key === null || value === null) continue;
    const before = last.get(key.toString("latin1"));
    if (before !== undefined && Buffer.compare(before, value) >= 0) {
      throw new Error(`key ${key}: ${value} came after ${before}`);
    }
    last.set(key.toString("latin1"), value);
  }
  const hash = sha256(byValue(expected));
  const other = sha256(byValue(came));
  if (hash !== other) throw new Error(`what came back has another hash: ${other}, not ${hash}`);
  return hash;
}

function byValue(records: readonly TestRecord[]): TestRecord[] {
  const none = Buffer.alloc(0);
  return records.toSorted((a, b) => Buffer.compare(a.value ?? none, b.value ?? none));
}
