/** The rules of one partition: describe, consume, offsets, delete records. */

import type { ModelLog, ModelRecord } from "./model.ts";
import { jsonOf } from "./oracle-topics.ts";
import {
  check,
  type FuzzAnswer,
  invalid,
  judgeExists,
  type Parsed,
  type Verdict,
  valid,
  wholeNumber,
} from "./verdict.ts";

const READ_BYTES_MAX = 8 * 1024 * 1024;
const WAIT_MS_MAX = 60_000;

/** What each of the fuzzer's Accept headers asks for; undefined: nothing that can be produced. */
export const ACCEPTS: Readonly<Record<string, "batch" | "json" | "ndjson" | undefined>> = {
  "*/*": "json",
  "application/json": "json",
  "application/x-ndjson": "ndjson",
  "application/vnd.kafka.recordbatch": "batch",
  "text/html, application/xhtml+xml, */*;q=0.8": "json",
  "application/json;q=0.1, application/x-ndjson;q=0.9": "ndjson",
  "APPLICATION/JSON": "json",
  "text/html": undefined,
  "application/json;q=0": undefined,
  "image/png, text/*": undefined,
};

export function judgePartition(parsed: Parsed): Verdict {
  const { topic, partition } = parsed;
  const absent = judgeExists(parsed);
  if (topic === undefined || absent !== undefined) return absent ?? invalid("no such topic");
  return valid(200, (answer) => {
    const { high_watermark: end, log_start_offset: start } = jsonOf(answer);
    const log = topic.log(partition);
    check(end === log.end && start === log.start, `is ${start} to ${end}, not ${log.start} to ${log.end}`);
  });
}

export function judgeConsume(parsed: Parsed): Verdict {
  const { topic, partition, query, request } = parsed;
  const accept = request.headers.accept ?? "*/*";
  const form = ACCEPTS[accept];
  if (form === undefined) return invalid("nothing acceptable");
  const within = (name: string, min: number, max: number) => {
    const number = wholeNumber(query.get(name) ?? String(max), max);
    return number !== undefined && number >= min;
  };
  if (!within("max_bytes", 1, READ_BYTES_MAX)) return invalid("no max_bytes");
  if (!within("min_bytes", 0, READ_BYTES_MAX)) return invalid("no min_bytes");
  if (!within("max_wait_ms", 0, WAIT_MS_MAX)) return invalid("no max_wait_ms");
  if (!["read_uncommitted", "read_committed"].includes(query.get("isolation") ?? "read_committed")) {
    return invalid("no isolation");
  }
  if ((query.get("value") ?? "json") !== "json") return invalid("no value form");
  const absent = judgeExists(parsed);
  if (topic === undefined || absent !== undefined) return absent ?? invalid("no such topic");
  const log = topic.log(partition);
  const asked = query.get("offset") ?? "earliest";
  const offset = asked === "earliest" ? log.start : asked === "latest" ? log.end : wholeNumber(asked);
  if (offset === undefined) return invalid("no offset");
  if (offset < log.start || offset > log.end) return invalid("out of range");
  return valid(200, (answer) => {
    if (form === "batch") return checkBatches(answer, log, offset);
    const parsesValues = query.get("value") === "json";
    const { records, next, end } = form === "json" ? readJson(answer) : readLines(answer);
    check(end === log.end, `ends at ${end}, not ${log.end}`);
    check(next === offset + records.length, `goes on at ${next} after ${records.length} from ${offset}`);
    check(offset === log.end || records.length > 0, "has no records");
    records.forEach((record, index) => {
      const expected = log.records[offset + index];
      check(expected !== undefined, "more than was stored");
      checkRecord(record, offset + index, expected, parsesValues);
    });
  });
}

export function judgeOffsets(parsed: Parsed): Verdict {
  const { topic, partition, query } = parsed;
  const asked = query.get("timestamp") ?? "latest";
  const special = ["earliest", "latest", "max-timestamp", "earliest-local", "latest-tiered"].includes(asked);
  const timestamp = special ? 0 : wholeNumber(asked);
  if (timestamp === undefined) return invalid("no timestamp");
  if (!["read_uncommitted", "read_committed"].includes(query.get("isolation") ?? "read_committed")) {
    return invalid("no isolation");
  }
  const absent = judgeExists(parsed);
  if (topic === undefined || absent !== undefined) return absent ?? invalid("no such topic");
  const log = topic.log(partition);
  return valid(200, (answer) => {
    const found: { offset: number; timestamp: number } = jsonOf(answer);
    const kept = log.records.slice(log.start);
    if (asked === "latest")
      return check(found.offset === log.end, `latest is ${found.offset}, not ${log.end}`);
    if (asked === "earliest")
      return check(found.offset === log.start, `earliest is ${found.offset}, not ${log.start}`);
    if (asked === "earliest-local" || asked === "latest-tiered") return;
    const times = kept.map((record) => record.timestamp ?? 0);
    if (asked === "max-timestamp") {
      // Among equals any will do; deleting records may leave the maximum of a batch that is half gone.
      if (log.start > 0) return;
      const most = times.length === 0 ? -1 : Math.max(...times);
      return check(found.timestamp === most, `the youngest is of ${found.timestamp}, not ${most}`);
    }
    const index = times.findIndex((time) => time >= timestamp);
    const expected = index === -1 ? -1 : log.start + index;
    // Where only deleted records of the first batch are young enough, the log start stands for them.
    const isLogStart = log.start > 0 && found.offset === log.start;
    check(found.offset === expected || isLogStart, `${timestamp} is at ${found.offset}, not ${expected}`);
  });
}

export function judgeDeleteRecords(parsed: Parsed): Verdict {
  const { topic, partition, query } = parsed;
  const asked = query.get("before_offset");
  const before = asked === "latest" ? Number.NaN : wholeNumber(asked ?? "");
  if (before === undefined) return invalid("no before_offset");
  const absent = judgeExists(parsed);
  if (topic === undefined || absent !== undefined) return absent ?? invalid("no such topic");
  const log = topic.log(partition);
  const start = asked === "latest" ? log.end : before;
  if (start > log.end) return invalid("beyond the log end");
  return valid(200, (answer) => {
    log.start = Math.max(log.start, start);
    const { log_start_offset: is } = jsonOf(answer);
    check(is === log.start, `the log starts at ${is}, not ${log.start}`);
  });
}

interface ReadBack {
  readonly records: readonly Record<string, unknown>[];
  readonly next: number;
  readonly end: number;
}

export function readJson(answer: FuzzAnswer): ReadBack {
  const { records, next_offset: next, high_watermark: end } = jsonOf(answer);
  return { records, next, end };
}

function readLines(answer: FuzzAnswer): ReadBack {
  const text = answer.body.toString();
  check(text === "" || text.endsWith("\n"), "the last line has no end");
  return {
    records: text
      .split("\n")
      .slice(0, -1)
      .map((line) => JSON.parse(line)),
    next: Number(answer.headers["edgelog-next-offset"]),
    end: Number(answer.headers["edgelog-high-watermark"]),
  };
}

/** Whole batches, of which only what stands in the clear is looked at: where they begin and how many records they have. */
function checkBatches(answer: FuzzAnswer, log: ModelLog, offset: number): void {
  const { body } = answer;
  let at = 0;
  let next = offset;
  while (at < body.length) {
    const base = Number(body.readBigInt64BE(at));
    check(at === 0 ? base <= offset : base === next, `a batch at ${base} where ${next} was due`);
    next = base + body.readInt32BE(at + 57);
    at += body.readInt32BE(at + 8) + 12;
  }
  check(at === body.length, "a torn batch");
  check(next > offset || offset === log.end, "no batches");
  check(Number(answer.headers["edgelog-next-offset"]) === next, "a wrong edgelog-next-offset");
}

/** Also learns the record's timestamp where the Worker chose it. */
export function checkRecord(
  read: Record<string, unknown>,
  offset: number,
  expected: ModelRecord,
  parsesValues: boolean,
): void {
  const timestamp = Number(read.timestamp);
  if (expected.timestamp === undefined) {
    check(Math.abs(timestamp - Date.now()) < 600_000, `record ${offset} is stamped ${timestamp}`);
    expected.timestamp = timestamp;
  }
  const value = parsesValues ? valueAsJson(expected.value) : asJson(expected.value);
  const wanted = {
    offset,
    timestamp: expected.timestamp,
    key: asJson(expected.key),
    value,
    headers: expected.headers.map(([key, bytes]) => ({ key, value: asJson(bytes) })),
  };
  const [is, should] = [JSON.stringify(read), JSON.stringify(wanted)];
  check(is === should, `record ${offset} is ${is.slice(0, 500)}, not ${should.slice(0, 500)}`);
}

function asJson(bytes: Buffer | null): string | { base64: string } | null {
  if (bytes === null) return null;
  const text = bytes.toString();
  return Buffer.from(text).equals(bytes) ? text : { base64: bytes.toString("base64") };
}

function valueAsJson(bytes: Buffer | null): unknown {
  const text = asJson(bytes);
  if (typeof text !== "string") return text;
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}
