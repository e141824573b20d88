/** Pieces of requests, ordinary and odd. */

import type { Random } from "./random.ts";

const TEXTS = [
  "",
  "a",
  "flight",
  "LAX",
  " ",
  "null",
  "{}",
  '{"a":1}',
  "12345678901234567890",
  "ä€𝄞",
  "\u0000",
  "\ufeff",
  "\ufffd",
  '"quoted\\',
  "line\nbreak\r\n",
  "\u2028",
  "<script>",
  "__proto__",
  "[[[[",
  "x".repeat(300),
];

/** JSON texts of values, some of which no JSON.stringify would write. */
const ODD_JSON = [
  "null",
  "true",
  "0",
  "-0",
  "1.0",
  "1e2",
  "1e400",
  "-1",
  "0.1",
  "9007199254740993",
  "12345678901234567890",
  '""',
  '"\\ud800"',
  '"\\ud834\\udd1e"',
  '"\\u0041"',
  "[]",
  "{}",
  '[1, 2 , {"b" : [ ] }]',
  '{"base64":"AP8="}',
  '{"base64":"AP8"}',
  '{"base64":"AR=="}',
  '{"base64":" AP8="}',
  '{"base64":5}',
  '{"base64":null}',
  '{"base64":""}',
  '{"base64":"_-8="}',
  '{"base64":"AP8=","more":1}',
  '{"__proto__":1,"constructor":{"prototype":2}}',
  '{"2":"b","1":"a","x":0}',
  '{"a":1,"a":2}',
  '{"rawJSON":"1"}',
  `${"[".repeat(58)}${"]".repeat(58)}`,
  `${"[".repeat(62)}${"]".repeat(62)}`,
  `${"[".repeat(80)}${"]".repeat(80)}`,
];

export function text(random: Random): string {
  return random.chance(0.1) ? random.bytes(random.int(1, 40)).toString("latin1") : random.pick(TEXTS);
}

/** The JSON text of a key or a value; nearly always a valid one. */
export function dataJson(random: Random): string {
  return random.weighted<() => string>([
    [5, () => JSON.stringify(text(random))],
    [2, () => JSON.stringify({ base64: random.bytes(random.int(0, 60)).toString("base64") })],
    [1, () => "null"],
    [2, () => random.pick(ODD_JSON)],
    [1, () => JSON.stringify({ id: random.int(0, 1_000), tags: [text(random), null, true] })],
  ])();
}

/** The JSON text of a record, with ordinary members. `nowMs` bounds its times from above. */
export function recordJson(random: Random, partitions: number): string {
  const members: string[] = [];
  if (random.chance(0.6)) members.push(`"key":${dataJson(random)}`);
  if (random.chance(0.95)) members.push(`"value":${dataJson(random)}`);
  if (random.chance(0.3)) members.push(`"headers":${headersJson(random)}`);
  if (random.chance(0.2)) members.push(`"partition":${random.int(0, partitions - 1)}`);
  if (random.chance(0.3)) members.push(`"timestamp":${timestamp(random)}`);
  return `{${members.join(",")}}`;
}

/** Within a day: what is older than its retention might go. */
export function timestamp(random: Random): number {
  return Date.now() - random.int(0, 86_400_000);
}

function headersJson(random: Random): string {
  const value = () =>
    random.weighted<() => string>([
      [4, () => JSON.stringify(text(random))],
      [1, () => "null"],
      [1, () => JSON.stringify({ base64: random.bytes(5).toString("base64") })],
      [0.2, () => random.pick(ODD_JSON)],
    ])();
  const names = Array.from({ length: random.int(0, 4) }, () => JSON.stringify(text(random)));
  if (random.chance(0.5)) return `{${names.map((name) => `${name}:${value()}`).join(",")}}`;
  return `[${names.map((name) => `{"key":${name}${random.chance(0.9) ? `,"value":${value()}` : ""}}`).join(",")}]`;
}

/** What no number parameter should be, and some that it may. */
export function oddNumber(random: Random): string {
  return random.pick([
    "",
    "-1",
    "+1",
    "1.0",
    "1e3",
    "0x1",
    " 1",
    "01",
    "0",
    "1",
    "7",
    "2147483647",
    "2147483648",
    "9007199254740991",
    "9007199254740992",
    "99999999999999999999",
    "NaN",
    "Infinity",
    "null",
    "latest",
    "earliest",
    "١",
  ]);
}

/** One JSON text made another: cut, doubled, or with a part replaced by something odd. */
export function mutatedJson(random: Random, json: string): string {
  const at = random.int(0, json.length);
  return random.weighted<() => string>([
    [1, () => json.slice(0, at)],
    [1, () => json.slice(0, at) + random.pick([...'{}[]",:0-eE.\\n \u0000x', "null", ",,"]) + json.slice(at)],
    [1, () => json.slice(0, at) + json.slice(at + random.int(1, 3))],
    [2, () => replaceValue(random, json, random.pick(ODD_JSON))],
    [
      2,
      () =>
        json.replace(/\{/, `{"${random.pick(["vaule", "__proto__", "partitions", "constructor", ""])}":1,`),
    ],
    [1, () => json.replace(/"(key|value|headers|partition|timestamp|name|configs|records)"/, '"$1s"')],
    [1, () => json.replaceAll(/([{}[\],:])/g, " $1\n\t")],
    [0.5, () => `\ufeff${json}`],
    [0.5, () => `[${json}]`],
  ])();
}

function replaceValue(random: Random, json: string, by: string): string {
  const values = [...json.matchAll(/:("(?:[^"\\]|\\.)*"|-?[0-9.eE+]+|true|false|null)/g)];
  if (values.length === 0) return by;
  const { index, 0: found } = random.pick(values);
  return `${json.slice(0, index)}:${by}${json.slice(index + found.length)}`;
}

/** One byte, or some, made others. */
export function mutatedBytes(random: Random, bytes: Buffer): Buffer {
  if (bytes.length === 0) return random.bytes(random.int(1, 100));
  const at = random.int(0, bytes.length - 1);
  const flipped = () => {
    const copy = Buffer.from(bytes);
    copy.writeUInt8(copy.readUInt8(at) ^ (1 << random.int(0, 7)), at);
    return copy;
  };
  return random.weighted<() => Buffer>([
    [3, flipped],
    [1, () => bytes.subarray(0, at)],
    [1, () => Buffer.concat([bytes, random.bytes(random.int(1, 4))])],
    [1, () => Buffer.concat([bytes.subarray(0, at), random.bytes(1), bytes.subarray(at)])],
  ])();
}
