/**
 * Fuzzes subscriptions: what opens them, what a client says on them, and what comes. An invalid one is refused with a
 * 4xx or ended with a named error and a code from 4400 to 4499; a valid one delivers every record from where it begins to
 * the log end, once and in order.
 */

import WebSocket from "ws";
import { isErrorName } from "../../src/model/errors.ts";
import { judgeBatch } from "./batch-rules.ts";
import { Corpus, type KeptSocketCase, keptSocketCase, replayedSocketCase } from "./corpus.ts";
import { type ModelRecord, ModelTopic } from "./model.ts";
import { checkRecord } from "./oracle-partition.ts";
import { Random } from "./random.ts";
import { nextEventCase, nextSocketCase } from "./socket-cases.ts";
import { type Expected, judgeSocket, type SocketCase } from "./socket-rules.ts";
import { check } from "./verdict.ts";

const PARTITIONS = 3;
const ANSWER_MS_MAX = 30_000;

export interface SocketFuzzOptions {
  readonly url: string;
  readonly cases: number;
  readonly seed: number;
  readonly token?: string;
  readonly lanes?: number;
  /** Keep one of each new kind in the corpus. */
  readonly keep?: boolean;
}

export interface SocketFuzzSummary {
  valid: number;
  invalid: number;
  records: number;
}

/** @throws the first thing that is not as it must be, with the seed and the case */
export async function fuzzSockets(options: SocketFuzzOptions): Promise<SocketFuzzSummary> {
  const { lanes = 4, seed, cases } = options;
  const summary: SocketFuzzSummary = { valid: 0, invalid: 0, records: 0 };
  const name = `fuzz-sockets-${process.pid}-${Date.now()}`;
  const topic = await filledTopic(options, name, new Random(seed, 1_000));
  try {
    const corpus = new Corpus<KeptSocketCase>("sockets");
    const replaying = { name, topic, random: new Random(seed, 1_999), summary };
    for (const kept of corpus) {
      const kind = await runCase(options, replaying, kept.form, replayedSocketCase(kept));
      if (kind !== undefined) corpus.knows(kind);
    }
    const run = async (lane: number) => {
      const random = new Random(seed, 2_000 + lane);
      for (let number = 0; number < cases / lanes; number++) {
        const form = random.chance(0.25) ? "events" : "socket";
        const socketCase = form === "events" ? nextEventCase(random, topic) : nextSocketCase(random, topic);
        const ran = runCase(options, { name, topic, random, summary }, form, socketCase);
        const kind = await ran.catch((error) => {
          throw new Error(`seed ${seed}, socket lane ${lane}, case ${number}: ${error.message}`, {
            cause: error,
          });
        });
        if (kind !== undefined) corpus.offer(kind, keptSocketCase(socketCase, form));
      }
    };
    await Promise.all(Array.from({ length: lanes }, (_, lane) => run(lane)));
    if (options.keep) corpus.save();
    return summary;
  } finally {
    await call(options, "DELETE", `/v1/topics/${name}`);
  }
}

interface Lane {
  readonly name: string;
  readonly topic: ModelTopic;
  readonly random: Random;
  readonly summary: SocketFuzzSummary;
}

/** What kind of case it was. */
async function runCase(
  options: SocketFuzzOptions,
  { name, topic, summary }: Lane,
  form: "events" | "socket",
  socketCase: SocketCase,
): Promise<string | undefined> {
  const verdict = judgeSocket(socketCase, topic, form);
  if (verdict.kind === "skip") return undefined;
  const query = socketCase.query.map(([key, value]) => `${key}=${encodeURIComponent(value)}`).join("&");
  const path = `/v1/topics/${name}/subscribe${query === "" ? "" : `?${query}`}`;
  const received = new Received(topic, verdict.kind === "valid" ? verdict.expected : undefined);
  try {
    const outcome =
      form === "events"
        ? await readEvents(options, path, socketCase, received)
        : await talk(options, path, socketCase, received);
    if (verdict.kind === "invalid") check(outcome === "refused", `was not refused: ${verdict.why}`);
    else check(outcome === "done", "was refused");
    summary[verdict.kind]++;
    summary.records += received.count;
    const names = socketCase.query.map(([key]) => key).sort();
    const why = verdict.kind === "valid" ? `${names} ${socketCase.subprotocols}` : verdict.why;
    return `${form}: ${verdict.kind}, ${why.replaceAll(/\d+/g, "n")}`;
  } catch (error) {
    const shown = { ...socketCase, messages: socketCase.messages.map(String), path, verdict };
    const text = JSON.stringify(shown, (_key, value) => (value instanceof Map ? [...value] : value));
    throw new Error(`${String(error)}\n${text.slice(0, 4_000)}\n${received.log.join("\n").slice(0, 2_000)}`, {
      cause: error,
    });
  }
}

type Outcome = "done" | "refused";

/** Sends the case's messages at once, then credits what it consumes until everything that is expected has come. */
async function talk(
  options: SocketFuzzOptions,
  path: string,
  socketCase: SocketCase,
  received: Received,
): Promise<Outcome> {
  const headers = options.token === undefined ? {} : { authorization: `Bearer ${options.token}` };
  // workerd answers the closing handshake but leaves TCP open: the client must not wait for it.
  const clientOptions = { headers, closeTimeout: 100 };
  const url = `${options.url.replace(/^http/, "ws")}${path}`;
  const socket = new WebSocket(url, [...socketCase.subprotocols], clientOptions);
  const { promise, resolve, reject } = Promise.withResolvers<Outcome>();
  const timer = setTimeout(() => reject(new Error("nothing came for too long")), ANSWER_MS_MAX);
  socket.on("error", () => {});
  socket.on("unexpected-response", (_request, response) => {
    const chunks: Buffer[] = [];
    response.on("data", (chunk: Buffer) => chunks.push(chunk));
    response.on("end", () => {
      const { statusCode = 0 } = response;
      try {
        checkRefusal(statusCode, Buffer.concat(chunks).toString());
        resolve("refused");
      } catch (error) {
        reject(error);
      }
    });
  });
  const goOn = () => {
    if (received.isDone()) resolve("done");
  };
  socket.on("open", () => {
    for (const message of socketCase.messages) socket.send(message);
    // Who granted little grants more: without credit nothing comes, not even what is wrong with another partition.
    if (received.expected === undefined || received.expected.credit < 100_000) {
      socket.send(JSON.stringify({ type: "credit", bytes: 100_000 }));
    }
    goOn();
  });
  socket.on("message", (data: Buffer, isBinary) => {
    try {
      const consumed = isBinary ? received.frame(data) : received.message(data.toString());
      if (consumed > 0) socket.send(JSON.stringify({ type: "credit", bytes: consumed }));
      goOn();
    } catch (error) {
      reject(error);
    }
  });
  socket.on("close", (code, reason) => {
    if (received.error !== undefined && code >= 4_400 && code < 4_500 && reason.toString() === received.error)
      resolve("refused");
    else reject(new Error(`closed with ${code} ${reason} after ${received.error}`));
  });
  try {
    return await promise;
  } finally {
    clearTimeout(timer);
    socket.terminate();
  }
}

async function readEvents(
  options: SocketFuzzOptions,
  path: string,
  socketCase: SocketCase,
  received: Received,
): Promise<Outcome> {
  const headers: Record<string, string> = { accept: "text/event-stream" };
  if (options.token !== undefined) headers.authorization = `Bearer ${options.token}`;
  if (socketCase.lastEventId !== undefined) headers["last-event-id"] = socketCase.lastEventId;
  const response = await fetch(`${options.url}${path}`, {
    headers,
    signal: AbortSignal.timeout(ANSWER_MS_MAX),
  });
  if (response.status !== 200) {
    checkRefusal(response.status, await response.text());
    return "refused";
  }
  check(response.body !== null, "no stream");
  let text = "";
  for await (const chunk of response.body.pipeThrough(new TextDecoderStream())) {
    text += chunk;
    for (let end = text.indexOf("\n\n"); end !== -1; end = text.indexOf("\n\n")) {
      const data = /^data: (.*)$/m.exec(text.slice(0, end))?.[1];
      text = text.slice(end + 2);
      if (data !== undefined) received.message(data);
    }
    if (received.isDone()) return "done";
    if (received.error !== undefined) return "refused";
  }
  throw new Error("the stream ended");
}

function checkRefusal(status: number, body: string): void {
  check(status >= 400 && status < 500, `refused with ${status}: ${body}`);
  const { error } = JSON.parse(body);
  check(isErrorName(error.code) && error.message !== "", `refused without a named error: ${body}`);
}

/** What has come, held against what must. */
class Received {
  readonly expected: Expected | undefined;
  /** The error message's name. */
  error: string | undefined;
  count = 0;
  readonly log: string[] = [];
  readonly #topic: ModelTopic;
  readonly #positions: Map<number, number>;
  readonly #caughtUp = new Set<number>();
  #pongs = 0;

  constructor(topic: ModelTopic, expected: Expected | undefined) {
    this.#topic = topic;
    this.expected = expected;
    this.#positions = new Map(expected?.starts);
  }

  isDone(): boolean {
    const { expected } = this;
    return (
      expected !== undefined && this.#pongs === expected.pings && this.#caughtUp.size === expected.starts.size
    );
  }

  /** @returns what it cost in credit */
  message(text: string): number {
    this.log.push(text.slice(0, 200));
    if (text === "pong") {
      this.#pongs++;
      return 0;
    }
    const message = JSON.parse(text);
    if (message.type === "error") {
      const { code, retriable } = message.error;
      check(
        isErrorName(code) && message.error.message !== "" && typeof retriable === "boolean",
        "an error without a name",
      );
      this.error = code;
    } else if (message.type === "caught_up") this.#arrived(message.partition, message.next);
    else if (message.type === "records") {
      const { partition, from, next, bytes, records } = message;
      this.#move(partition, from, next, records.length);
      for (const [index, record] of records.entries())
        this.#check(partition, from + index, (expected) => {
          checkRecord(record, from + index, expected, this.expected?.parsesValues === true);
        });
      return bytes;
    } else check(message.type === "credit_due", `an unknown message: ${message.type}`);
    return 0;
  }

  frame(frame: Buffer): number {
    check(
      frame.readUInt8(0) === 1 && frame.readUInt8(1) === 1 && frame.readUInt16BE(2) === 0,
      "an unknown frame",
    );
    const partition = frame.readUInt32BE(4);
    const [from, next] = [Number(frame.readBigInt64BE(8)), Number(frame.readBigInt64BE(16))];
    this.log.push(`frame ${partition}: ${from} to ${next}`);
    this.#move(partition, from, next, next - from);
    let due = from;
    for (let at = 32; at < frame.length; ) {
      const end = at + frame.readInt32BE(at + 8) + 12;
      const base = Number(frame.readBigInt64BE(at));
      const batch = Buffer.from(frame.subarray(at, end));
      // As it was produced: the leader writes only outside the CRC.
      batch.writeBigInt64BE(0n, 0);
      const judged = judgeBatch(batch);
      check(typeof judged !== "string", `a broken batch: ${String(judged)}`);
      for (const [index, record] of judged.records.entries()) {
        if (base + index < from || base + index >= next) continue;
        check(base + index === due, `record ${base + index} where ${due} was due`);
        this.#check(partition, due++, (expected) =>
          check(sameRecord(record, expected), `record ${base + index} is another`),
        );
      }
      at = end;
    }
    check(due === next, `a frame to ${next} that ends at ${due}`);
    return frame.length - 32;
  }

  #move(partition: number, from: number, next: number, records: number): void {
    if (this.expected === undefined) return;
    check(
      this.#positions.get(partition) === from,
      `from ${from} at position ${this.#positions.get(partition)}`,
    );
    check(next === from + records && records > 0, `${records} records from ${from} to ${next}`);
    this.#positions.set(partition, next);
  }

  #arrived(partition: number, next: number): void {
    if (this.expected === undefined) return;
    check(!this.#caughtUp.has(partition), "caught up twice");
    check(
      next === this.#positions.get(partition),
      `caught up at ${next}, not ${this.#positions.get(partition)}`,
    );
    check(
      next === this.#topic.log(partition).end,
      `caught up before the end, ${this.#topic.log(partition).end}`,
    );
    this.#caughtUp.add(partition);
  }

  #check(partition: number, offset: number, compare: (expected: ModelRecord) => void): void {
    if (this.expected === undefined) return;
    const expected = this.#topic.log(partition).records[offset];
    check(expected !== undefined, `record ${offset} was never stored`);
    compare(expected);
    this.count++;
  }
}

function sameRecord(a: ModelRecord, b: ModelRecord): boolean {
  const text = ({ key, value, headers, timestamp }: ModelRecord) =>
    JSON.stringify([
      key?.toString("base64"),
      value?.toString("base64"),
      headers.map(([name, of]) => [name, of?.toString("base64")]),
      timestamp,
    ]);
  return text(a) === text(b);
}

/** Three partitions with some records each, of which the second has lost its first. */
async function filledTopic(options: SocketFuzzOptions, name: string, random: Random): Promise<ModelTopic> {
  const topic = new ModelTopic(PARTITIONS);
  await call(options, "POST", "/v1/topics", { name, partitions: PARTITIONS });
  let timestamp = Date.now() - 1_000_000;
  for (let request = 0; request < 30; request++) {
    const partition = request % (PARTITIONS - 1);
    const values = Array.from({ length: random.int(1, 6) }, () => random.bytes(random.int(0, 400)));
    const records = values.map((value) => ({
      value: { base64: value.toString("base64") },
      timestamp: ++timestamp,
      partition,
    }));
    const log = topic.log(partition);
    for (const [index, value] of values.entries()) {
      log.records.push({ key: null, value, headers: [], timestamp: records[index]?.timestamp });
    }
    await call(options, "POST", `/v1/topics/${name}/records`, { records });
  }
  topic.log(1).start = 5;
  await call(options, "DELETE", `/v1/topics/${name}/partitions/1/records?before_offset=5`);
  return topic;
}

async function call(
  { url, token }: SocketFuzzOptions,
  method: string,
  path: string,
  json?: unknown,
): Promise<void> {
  const headers: Record<string, string> = { "content-type": "application/json" };
  if (token !== undefined) headers.authorization = `Bearer ${token}`;
  const response = await fetch(`${url}${path}`, {
    method,
    headers,
    ...(json !== undefined && { body: JSON.stringify(json) }),
  });
  check(response.ok, `${method} ${path}: ${response.status} ${await response.text()}`);
}
