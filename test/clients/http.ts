/** The same records over HTTP and WebSocket, by what docs/ says of them: nothing here knows Edgelog's own client. */

import type { Target } from "./client.ts";
import type { TestRecord } from "./records.ts";

const RECORDS_PER_REQUEST = 10_000;
const NDJSON = "application/x-ndjson";
const CREDIT_BYTES = 4 * 1024 * 1024;

type JsonData = string | { readonly base64: string } | null;

interface JsonRecord {
  readonly key: JsonData;
  readonly value: JsonData;
  readonly headers: readonly { readonly key: string; readonly value: JsonData }[];
}

/** Returns its id. */
export async function createTopic(
  target: Target,
  name: string,
  partitions: number,
  configs: Readonly<Record<string, string>> = {},
): Promise<string> {
  const answer = await request(target, "/v1/topics", {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ name, partitions, configs }),
  });
  const { id }: { readonly id: string } = JSON.parse(await answer.text());
  return id;
}

export async function produceOverHttp(target: Target, topic: string, records: readonly TestRecord[]) {
  for (let at = 0; at < records.length; at += RECORDS_PER_REQUEST) {
    const lines = records.slice(at, at + RECORDS_PER_REQUEST).map((record) => JSON.stringify(jsonOf(record)));
    const headers = { "content-type": NDJSON, prefer: "return=minimal" };
    const body = lines.join("\n");
    await request(target, `/v1/topics/${topic}/records`, { method: "POST", headers, body });
  }
}

/** Everything, partition by partition. */
export async function consumeOverHttp(target: Target, topic: string): Promise<TestRecord[]> {
  const records: TestRecord[] = [];
  for (const partition of await partitionsOf(target, topic)) {
    records.push(...(await consumePartition(target, topic, partition)));
  }
  return records;
}

/** Everything that one partition has. */
export async function consumePartition(
  target: Target,
  topic: string,
  partition: number,
): Promise<TestRecord[]> {
  const records: TestRecord[] = [];
  for (let offset = "0"; ; ) {
    const path = `/v1/topics/${topic}/partitions/${partition}/records?offset=${offset}&max_bytes=4000000`;
    const answer = await request(target, path, { headers: { accept: NDJSON } });
    const lines = (await answer.text()).split("\n").filter((line) => line !== "");
    if (lines.length === 0) return records;
    for (const line of lines) records.push(recordOf(JSON.parse(line)));
    offset = answer.headers.get("edgelog-next-offset") ?? "";
  }
}

export async function consumeOverWebSocket(
  target: Target,
  topic: string,
  count: number,
): Promise<TestRecord[]> {
  const path = `/v1/topics/${topic}/subscribe?offset=earliest&credit_bytes=${CREDIT_BYTES}`;
  const token = target.token === undefined ? [] : [`edgelog.token.${target.token}`];
  const socket = new WebSocket(`${target.url.replace(/^http/, "ws")}${path}`, ["edgelog.v1.json", ...token]);
  const records: TestRecord[] = [];
  let consumedBytes = 0;
  let isCreditDue = false;
  const { promise, resolve, reject } = Promise.withResolvers<TestRecord[]>();
  socket.addEventListener("message", ({ data }) => {
    const message = JSON.parse(data);
    if (message.type === "error") reject(new Error(data));
    if (message.type === "records") {
      records.push(...message.records.map(recordOf));
      consumedBytes += message.bytes;
    }
    isCreditDue ||= message.type === "credit_due";
    if (consumedBytes > (isCreditDue ? 0 : CREDIT_BYTES / 2)) {
      socket.send(JSON.stringify({ type: "credit", bytes: consumedBytes }));
      consumedBytes = 0;
      isCreditDue = false;
    }
    if (records.length >= count) resolve(records);
  });
  socket.addEventListener("close", ({ code, reason }) => reject(new Error(`closed: ${code} ${reason}`)));
  socket.addEventListener("error", () => reject(new Error("the WebSocket failed")));
  return promise.finally(() => socket.close());
}

interface PartitionDescription {
  readonly log_start_offset: number;
  readonly remote_segments: number;
}

export async function describePartition(
  target: Target,
  topic: string,
  partition: number,
): Promise<PartitionDescription> {
  return JSON.parse(await (await request(target, `/v1/topics/${topic}/partitions/${partition}`)).text());
}

async function partitionsOf(target: Target, topic: string): Promise<number[]> {
  const answer = await request(target, `/v1/topics/${topic}`);
  const { partitions }: { readonly partitions: number } = JSON.parse(await answer.text());
  return Array.from({ length: partitions }, (_, partition) => partition);
}

async function request({ url, token }: Target, path: string, init: RequestInit = {}): Promise<Response> {
  const headers = new Headers(init.headers);
  if (token !== undefined) headers.set("authorization", `Bearer ${token}`);
  const answer = await fetch(url + path, { ...init, headers });
  if (answer.ok) return answer;
  throw new Error(`${init.method ?? "GET"} ${path}: ${answer.status} ${await answer.text()}`);
}

function jsonOf({ key, value, headers }: TestRecord) {
  const data = (bytes: Buffer | null): JsonData => bytes && { base64: bytes.toString("base64") };
  const named = headers.map(([name, text]) => ({ key: name, value: text }));
  return { key: data(key), value: data(value), headers: named };
}

function recordOf({ key, value, headers }: JsonRecord): TestRecord {
  const bytes = (data: JsonData): Buffer | null => {
    if (data === null) return null;
    return typeof data === "string" ? Buffer.from(data) : Buffer.from(data.base64, "base64");
  };
  const named = headers.map((header): [string, string] => [
    header.key,
    bytes(header.value)?.toString() ?? "",
  ]);
  return { key: bytes(key), value: bytes(value), headers: named };
}
