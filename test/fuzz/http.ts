/**
 * Fuzzes every HTTP route of a running cluster.
 *
 * An oracle that was written from the documents, not from the code, says of each request whether it is valid. An invalid
 * one must get a 4xx with a named error and change nothing; a valid one must do exactly what it says; none may get a
 * 5xx. Each lane has its own topics, its own random numbers and its own model, so a seed replays a run, but for the
 * partitions that the cluster itself chooses.
 */

import { Agent, request as httpRequest } from "node:http";
import { isErrorName } from "../../src/model/errors.ts";
import { nextCase } from "./cases.ts";
import { Corpus, type KeptRequest, keptRequest, replayedRequest } from "./corpus.ts";
import { Model } from "./model.ts";
import { judge } from "./oracle.ts";
import { checkRecord, readJson } from "./oracle-partition.ts";
import { jsonOf } from "./oracle-topics.ts";
import { Random } from "./random.ts";
import { check, type FuzzAnswer, type FuzzRequest, type Verdict } from "./verdict.ts";

export interface FuzzOptions {
  readonly url: string;
  readonly cases: number;
  readonly seed: number;
  readonly token?: string;
  readonly lanes?: number;
  /** Keep one of each new kind in the corpus. */
  readonly keep?: boolean;
}

export interface FuzzSummary {
  valid: number;
  invalid: number;
  records: number;
  /** status → how often. */
  readonly statuses: Map<number, number>;
}

/** @throws the first thing that is not as it must be, with the seed, the lane and the request */
export async function fuzzHttp(options: FuzzOptions): Promise<FuzzSummary> {
  const { lanes = 8, cases } = options;
  const agent = new Agent({ keepAlive: true, maxSockets: lanes });
  const summary: FuzzSummary = { valid: 0, invalid: 0, records: 0, statuses: new Map() };
  try {
    const client = new Client(options, agent);
    const defaultPartitions = await defaultPartitionsOf(client);
    const corpus = new Corpus<KeptRequest>("http");
    const newLane = (lane: number) => new Lane(client, options.seed, lane, defaultPartitions, summary);
    await newLane(lanes).replay(corpus);
    const collected = options.keep ? corpus : undefined;
    const runs = Array.from({ length: lanes }, (_, lane) =>
      newLane(lane).run(Math.ceil(cases / lanes), collected),
    );
    await Promise.all(runs);
    collected?.save();
    return summary;
  } finally {
    agent.destroy();
  }
}

class Lane {
  readonly #client: Client;
  readonly #seed: number;
  readonly #lane: number;
  readonly #random: Random;
  readonly #model: Model;
  readonly #summary: FuzzSummary;

  constructor(client: Client, seed: number, lane: number, defaultPartitions: number, summary: FuzzSummary) {
    this.#client = client;
    this.#seed = seed;
    this.#lane = lane;
    this.#random = new Random(seed, lane);
    // Other runs on the same cluster have other names.
    this.#model = new Model(`fuzz-${process.pid}-${Date.now()}-${lane}-`, defaultPartitions);
    this.#summary = summary;
  }

  async run(cases: number, corpus: Corpus<KeptRequest> | undefined): Promise<void> {
    for (let number = 0; number < cases; number++) {
      const request = nextCase(this.#random, this.#model);
      const kind = await this.#runCase(`case ${number}`, request);
      if (kind !== undefined) corpus?.offer(kind, keptRequest(request, this.#model.prefix));
    }
    await this.#end();
  }

  async replay(corpus: Corpus<KeptRequest>): Promise<void> {
    for (const kept of corpus) {
      const kind = await this.#runCase("of the corpus", replayedRequest(kept, this.#model.prefix));
      if (kind !== undefined) corpus.knows(kind);
    }
    await this.#end();
  }

  /** What kind of case it was. */
  async #runCase(which: string, request: FuzzRequest): Promise<string | undefined> {
    const verdict = judge(request, this.#model);
    if (verdict.kind === "skip") return undefined;
    let answer: FuzzAnswer | undefined;
    try {
      answer = await this.#client.send(request);
      this.#summary.statuses.set(answer.status, (this.#summary.statuses.get(answer.status) ?? 0) + 1);
      if (verdict.kind === "valid") await this.#checkValid(request, verdict, answer);
      else await this.#checkInvalid(request, answer);
    } catch (error) {
      throw new Error(this.#report(which, request, verdict, answer), { cause: error });
    }
    const route = request.target
      .split("?", 1)[0]
      ?.replaceAll(/fuzz-[^/]+/g, "t")
      .replaceAll(/\d+/g, "n");
    const why = verdict.kind === "valid" ? String(verdict.status) : verdict.why.replaceAll(/\d+/g, "n");
    return `${request.method} ${route}: ${verdict.kind}, ${why}`;
  }

  async #end(): Promise<void> {
    await this.#checkEverything();
    for (const name of this.#model.topics.keys()) await this.#client.get(`/v1/topics/${name}`, "DELETE");
  }

  async #checkValid(
    request: FuzzRequest,
    verdict: Verdict & { kind: "valid" },
    answer: FuzzAnswer,
  ): Promise<void> {
    this.#summary.valid++;
    check(answer.status === verdict.status, `status ${answer.status}, not ${verdict.status}`);
    if (request.method === "HEAD") return check(answer.body.length === 0, "a HEAD's answer has a body");
    verdict.settle(answer);
    const stored = verdict.stored?.() ?? [];
    this.#summary.records += stored.length;
    const name = topicOf(request);
    const partitions = new Set(stored.map(({ partition }) => partition));
    for (const partition of partitions) {
      const from = Math.min(
        ...stored.filter((entry) => entry.partition === partition).map(({ offset }) => offset),
      );
      await this.#readBack(name, partition, from);
    }
  }

  async #checkInvalid(request: FuzzRequest, answer: FuzzAnswer): Promise<void> {
    this.#summary.invalid++;
    check(answer.status >= 400 && answer.status < 500, `status ${answer.status}, not 4xx`);
    if (request.method !== "HEAD") {
      const { error } = jsonOf(answer);
      check(isErrorName(error.code), `${error.code} is no error`);
      check(typeof error.message === "string" && error.message !== "", "no message");
      check(typeof error.retriable === "boolean", "not said whether it is retriable");
    }
    await this.#checkUnchanged(topicOf(request));
  }

  /** The topic that the request was about is as it was: it exists or not, and its logs end where they ended. */
  async #checkUnchanged(name: string): Promise<void> {
    if (!name.startsWith(this.#model.prefix)) return;
    const topic = this.#model.topics.get(name);
    const answer = await this.#client.get(`/v1/topics/${encodeURIComponent(name)}`);
    if (topic === undefined)
      return check(answer.status === 404 || answer.status === 400, `${name} exists now`);
    check(jsonOf(answer).partitions === topic.partitions, "has other partitions now");
    const configs = (entries: Iterable<readonly [string, unknown]>) => JSON.stringify([...entries].sort());
    check(
      configs(Object.entries(jsonOf(answer).configs)) === configs(topic.configs),
      "has other configs now",
    );
    const partition = this.#random.int(0, Math.min(topic.partitions, 5) - 1);
    const described = jsonOf(await this.#client.get(`/v1/topics/${name}/partitions/${partition}`));
    const log = topic.log(partition);
    check(
      described.high_watermark === log.end && described.log_start_offset === log.start,
      `partition ${partition} is ${described.log_start_offset} to ${described.high_watermark}, not ${log.start} to ${log.end}`,
    );
  }

  async #readBack(name: string, partition: number, from: number): Promise<void> {
    const log = this.#model.topics.get(name)?.log(partition);
    check(log !== undefined, "stored in a topic that the model does not know");
    for (let next = Math.max(from, log.start); next < log.end; ) {
      const answer = await this.#client.get(
        `/v1/topics/${name}/partitions/${partition}/records?offset=${next}&max_bytes=8388608`,
      );
      check(answer.status === 200, `reading back: ${answer.status} ${answer.body.toString()}`);
      const { records } = readJson(answer);
      check(records.length > 0, `nothing at ${next}, though the log ends at ${log.end}`);
      for (const record of records) {
        const expected = log.records[next];
        check(expected !== undefined, `record ${next} was never sent`);
        checkRecord(record, next++, expected, false);
      }
    }
  }

  /** Every topic and every record, once more from the beginning. */
  async #checkEverything(): Promise<void> {
    const list = jsonOf(await this.#client.get(`/v1/topics?after=${this.#model.prefix}&limit=1000`));
    const names: string[] = list.topics.map((topic: { name: string }) => topic.name);
    const mine = names.filter((name) => name.startsWith(this.#model.prefix)).sort();
    const expected = [...this.#model.topics.keys()]
      .filter((name) => name.startsWith(this.#model.prefix))
      .sort();
    check(mine.join() === expected.join(), `lane ${this.#lane} has the topics ${mine}, not ${expected}`);
    for (const [name, topic] of this.#model.topics) {
      for (const [partition, log] of topic.logs()) {
        if (partition >= topic.partitions) continue;
        const described = jsonOf(await this.#client.get(`/v1/topics/${name}/partitions/${partition}`));
        check(
          described.high_watermark === log.end,
          `${name}-${partition} ends at ${described.high_watermark}, not ${log.end}`,
        );
        await this.#readBack(name, partition, log.start);
      }
    }
  }

  #report(which: string, request: FuzzRequest, verdict: Verdict, answer: FuzzAnswer | undefined): string {
    const body =
      request.body === undefined
        ? "no body"
        : `${request.body.toString().slice(0, 2_000)}\nbase64 ${request.body.toString("base64").slice(0, 4_000)}`;
    return [
      `seed ${this.#seed}, lane ${this.#lane}, ${which}: ${JSON.stringify(verdict)}`,
      `${request.method} ${request.target} ${JSON.stringify(request.headers)}`,
      body,
      `answered ${answer?.status}: ${answer?.body.toString().slice(0, 1_000)}`,
    ].join("\n");
  }
}

class Client {
  readonly #url: URL;
  readonly #agent: Agent;
  readonly #headers: Readonly<Record<string, string>>;

  constructor({ url, token }: FuzzOptions, agent: Agent) {
    this.#url = new URL(url);
    this.#agent = agent;
    this.#headers = token === undefined ? {} : { authorization: `Bearer ${token}` };
  }

  get(target: string, method = "GET"): Promise<FuzzAnswer> {
    return this.send({ method, target, headers: {} });
  }

  /** By node:http: fetch would tidy the request up. */
  send({ method, target, headers, body }: FuzzRequest): Promise<FuzzAnswer> {
    return new Promise((resolve, reject) => {
      const sent = httpRequest(
        {
          host: this.#url.hostname,
          port: this.#url.port,
          method,
          path: target,
          headers: {
            ...this.#headers,
            ...headers,
            ...(body !== undefined && { "content-length": body.length }),
          },
          agent: this.#agent,
        },
        (response) => {
          const chunks: Buffer[] = [];
          response.on("data", (chunk: Buffer) => chunks.push(chunk));
          response.on("error", reject);
          response.on("end", () =>
            resolve({
              status: response.statusCode ?? 0,
              headers: response.headers,
              body: Buffer.concat(chunks),
            }),
          );
        },
      );
      sent.on("error", reject);
      sent.end(body);
    });
  }
}

async function defaultPartitionsOf(client: Client): Promise<number> {
  const name = `fuzz-probe-${process.pid}-${Date.now()}`;
  const body = Buffer.from(JSON.stringify({ name, validate_only: true }));
  const headers = { "content-type": "application/json" };
  return jsonOf(await client.send({ method: "POST", target: "/v1/topics", headers, body })).partitions;
}

function topicOf({ target }: FuzzRequest): string {
  const segment = /^\/v1\/topics\/([^/]+)/.exec(target.split("?", 1)[0] ?? "")?.[1] ?? "";
  try {
    return decodeURIComponent(segment);
  } catch {
    return segment;
  }
}
