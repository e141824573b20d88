/** One client's run: a cluster, a loop of its workers from one topic to another, and what disturbs them. */

import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { type HostAndPort, parseHostsAndPorts } from "../../src/kafka/brokers.ts";
import { CommittedOffsetsWatch } from "../churn/committed-offsets.ts";
import { Connection } from "../churn/connection.ts";
import type { MemberCommand } from "../churn/member-process.ts";
import { ChurnPlatform } from "../churn/platform.ts";
import { Records } from "../churn/records.ts";
import { Random } from "../crash/random.ts";
import { checkLoop, type LoopReport, type View } from "./check.ts";
import { CLIENTS, type LoopClient } from "./clients.ts";
import { createTopic, untilStable, writeEnd } from "./output-topic.ts";
import { type Shaking, shakeFor } from "./shake.ts";
import { clientView, httpView } from "./views.ts";
import { Workers } from "./workers.ts";

export interface LoopOptions {
  readonly client: LoopClient;
  readonly seed: number;
  /** How long records are produced and workers are shaken. */
  readonly ms: number;
  readonly records: number;
  readonly workers: number;
  /** Of the input. */
  readonly partitions: number;
  /** Spread over the time. */
  readonly platformKills: number;
  /** Another Kafka cluster, `host:port`, which is neither started nor killed. */
  readonly bootstrap?: string;
  /** Keep what workers have said, and the data, for a look at them. */
  readonly keep: boolean;
  readonly onProgress: (line: string) => void;
}

const OUTPUT_PARTITIONS = 4;
/** For workers to come to the input's end after the last was shaken. */
const SETTLE_MS_MAX = 180_000;
/** A transaction that was left open is aborted after its time, see workers/process.ts. */
const STABLE_MS_MAX = 60_000;
const PROGRESS_MS = 10_000;
const REFILL_MS = 1_000;

export async function runLoop(options: LoopOptions): Promise<LoopReport & { readonly directory: string }> {
  const directory = await mkdtemp(join(tmpdir(), `edgelog-transactions-${options.client.name}-`));
  const platform = options.bootstrap === undefined ? new ChurnPlatform(join(directory, "data")) : undefined;
  try {
    await platform?.start();
    const [address] = parseHostsAndPorts(options.bootstrap ?? platform?.address ?? "");
    if (address === undefined) throw new Error("there is no Kafka address to connect to");
    const report = await new Loop(options, directory, address, platform).run();
    return { ...report, directory };
  } finally {
    await platform?.kill();
    if (!options.keep) await rm(directory, { recursive: true, force: true, maxRetries: 5 });
  }
}

class Loop {
  readonly #options: LoopOptions;
  readonly #directory: string;
  readonly #address: HostAndPort;
  readonly #platform: ChurnPlatform | undefined;
  readonly #random: Random;
  readonly #input = `input-${crypto.randomUUID()}`;
  readonly #output = `output-of-${this.#input}`;
  readonly #group = `group-of-${this.#input}`;
  readonly #ending = new AbortController();
  readonly #records: Records;
  readonly #watch: CommittedOffsetsWatch;
  readonly #wrong: string[] = [];

  constructor(
    options: LoopOptions,
    directory: string,
    address: HostAndPort,
    platform: ChurnPlatform | undefined,
  ) {
    this.#options = options;
    this.#directory = directory;
    this.#address = address;
    this.#platform = platform;
    this.#random = new Random(options.seed);
    const { records, ms, partitions } = options;
    this.#records = new Records(this.#connection(), { topic: this.#input, partitions, records, ms });
    this.#watch = new CommittedOffsetsWatch(this.#connection(), this.#group, this.#input, partitions);
  }

  async run(): Promise<LoopReport> {
    const connection = this.#connection();
    await createTopic(connection, this.#input, this.#options.partitions);
    await createTopic(connection, this.#output, OUTPUT_PARTITIONS);
    const command = await this.#options.client.prepare(this.#directory);
    const workers = await this.#workers(command);
    const progress = setInterval(() => this.#tell(workers), PROGRESS_MS);
    const views: View[] = [];
    try {
      await this.#process(workers);
      this.#wrong.push(...(await untilStable(connection, this.#output, OUTPUT_PARTITIONS, STABLE_MS_MAX)));
      await writeEnd(connection, this.#output, OUTPUT_PARTITIONS);
      views.push(...(await this.#views(command)));
    } finally {
      clearInterval(progress);
      this.#ending.abort();
      await workers.stopAll();
    }
    const { violations, counts } = checkLoop({
      ends: this.#records.ends,
      views,
      workers: await workers.logs(),
      committed: this.#watch.seen,
    });
    return { violations: [...this.#wrong, ...violations], counts };
  }

  /** Until everything is processed and the last worker has ended. */
  async #process(workers: Workers): Promise<void> {
    const { workers: count } = this.#options;
    workers.fill(count);
    const toEnd = this.#watch.until((offsets) => this.#isEnd(offsets));
    toEnd.catch(() => undefined);
    const produced = this.#records.produce();
    produced.catch(() => undefined);
    await this.#disturb({ workers, random: this.#random, count });
    const refill = setInterval(() => workers.fill(count), REFILL_MS);
    try {
      await produced;
      const isAtEnd = await Promise.race([toEnd.then(() => true), delay(SETTLE_MS_MAX, false)]);
      if (!isAtEnd) {
        this.#wrong.push(`the loop was not at the input's end ${SETTLE_MS_MAX} ms after it was let alone`);
      }
    } finally {
      clearInterval(refill);
    }
    await workers.stopAll();
    await this.#watch.ask();
  }

  async #disturb(shaking: Shaking): Promise<void> {
    const { ms, platformKills } = this.#options;
    const platform = this.#platform;
    if (platform === undefined) return shakeFor(ms, shaking);
    for (let kill = 1; kill <= platformKills; kill++) {
      await shakeFor(ms / (platformKills + 1), shaking);
      await platform.kill();
      await platform.start();
      this.#options.onProgress(`the platform was killed, ${kill} of ${platformKills} times`);
    }
    await shakeFor(ms / (platformKills + 1), shaking);
  }

  /** As the client's own readers see the output, and others. */
  async #views(own: MemberCommand): Promise<View[]> {
    const views: View[] = [];
    const { client } = this.#options;
    const kafkajs = CLIENTS.find(({ name }) => name === "kafkajs");
    const other = client === kafkajs ? undefined : await kafkajs?.prepare(this.#directory);
    for (const isolation of ["read_committed", "read_uncommitted"] as const) {
      const { host, port } = this.#address;
      const reading = {
        bootstrap: `${host}:${port}`,
        topic: this.#output,
        partitions: OUTPUT_PARTITIONS,
        isolation,
      };
      const url = this.#platform?.url;
      const attempts = [
        clientView(client.name, own, this.#directory, reading),
        ...(other === undefined ? [] : [clientView("kafkajs", other, this.#directory, reading)]),
        ...(url === undefined ? [] : [httpView(url, reading)]),
      ];
      for (const result of await Promise.allSettled(attempts)) {
        if (result.status === "fulfilled") views.push(result.value);
        else this.#wrong.push(`a reader has failed: ${result.reason}`);
      }
    }
    return views;
  }

  #isEnd(offsets: readonly number[]): boolean {
    const { ends, produced } = this.#records;
    return produced === this.#options.records && ends.every((end, index) => offsets[index] === end);
  }

  async #workers(command: MemberCommand): Promise<Workers> {
    const { client } = this.#options;
    const directory = join(this.#directory, "workers");
    await mkdir(directory);
    const { host, port } = this.#address;
    const target = {
      bootstrap: `${host}:${port}`,
      protocol: client.protocol,
      input: this.#input,
      output: this.#output,
      outputPartitions: OUTPUT_PARTITIONS,
      group: this.#group,
    };
    return new Workers({ client, command, directory, random: this.#random.fork(), target });
  }

  #connection(): Connection {
    return new Connection(this.#address, this.#ending.signal);
  }

  #tell(workers: Workers): void {
    const committed = this.#watch.last.reduce((sum, offset) => sum + Math.max(0, offset), 0);
    this.#options.onProgress(
      `${this.#records.produced} produced, ${committed} committed, ${workers.alive.length} workers`,
    );
  }
}
