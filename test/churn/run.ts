/** One client's run: a cluster, a group of its members, records, and the shaking of the members. */

import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { type HostAndPort, parseHostsAndPorts } from "../../src/kafka/brokers.ts";
import { createTopicsApi } from "../../src/kafka/messages/create-topics.ts";
import { Random } from "../crash/random.ts";
import { type ChurnReport, checkChurn } from "./check.ts";
import type { ChurnClient } from "./clients.ts";
import { CommittedOffsetsWatch } from "./committed-offsets.ts";
import { Connection } from "./connection.ts";
import { Crowd } from "./crowd.ts";
import { killPlatform } from "./kill-platform.ts";
import { ChurnPlatform } from "./platform.ts";
import { Records } from "./records.ts";
import { shakeFor } from "./shake.ts";

export interface ChurnOptions {
  readonly client: ChurnClient;
  readonly seed: number;
  /** How long records are produced and members are shaken. */
  readonly ms: number;
  readonly records: number;
  readonly members: number;
  readonly partitions: number;
  /** How often the whole platform is killed while the group rebalances; then that is what ends the run. */
  readonly platformKills: number;
  /** Another Kafka cluster, `host:port`, which is neither started nor killed. */
  readonly bootstrap?: string;
  /** Keep what members have said, and the data, for a look at them. */
  readonly keep: boolean;
  readonly onProgress: (line: string) => void;
}

/** For members to come to the log's end after the last was shaken. */
const SETTLE_MS_MAX = 180_000;
const PROGRESS_MS = 10_000;

export async function runChurn(options: ChurnOptions): Promise<ChurnReport & { readonly directory: string }> {
  const directory = await mkdtemp(join(tmpdir(), `edgelog-churn-${options.client.name}-`));
  const platform = options.bootstrap === undefined ? new ChurnPlatform(join(directory, "data")) : undefined;
  try {
    await platform?.start();
    const [address] = parseHostsAndPorts(options.bootstrap ?? platform?.address ?? "");
    if (address === undefined) throw new Error("there is no Kafka address to connect to");
    const report = await new Churn(options, directory, address, platform).run();
    return { ...report, directory };
  } finally {
    await platform?.kill();
    if (!options.keep) await rm(directory, { recursive: true, force: true, maxRetries: 5 });
  }
}

class Churn {
  readonly #options: ChurnOptions;
  readonly #directory: string;
  readonly #address: HostAndPort;
  readonly #platform: ChurnPlatform | undefined;
  readonly #random: Random;
  readonly #topic = `churn-${crypto.randomUUID()}`;
  readonly #group = `group-of-${this.#topic}`;
  readonly #ending = new AbortController();
  readonly #records: Records;
  readonly #watch: CommittedOffsetsWatch;

  constructor(
    options: ChurnOptions,
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
    this.#records = new Records(this.#connection(), { topic: this.#topic, partitions, records, ms });
    this.#watch = new CommittedOffsetsWatch(this.#connection(), this.#group, this.#topic, partitions);
  }

  async run(): Promise<ChurnReport> {
    await this.#createTopic();
    const crowd = await this.#crowd();
    const wrong: string[] = [];
    const progress = setInterval(() => this.#tell(crowd), PROGRESS_MS);
    try {
      crowd.fill(this.#options.members);
      const toEnd = this.#watch.until((offsets) => this.#isEnd(offsets));
      toEnd.catch(() => undefined);
      const produced = this.#records.produce();
      wrong.push(...(await this.#disturb(crowd)));
      crowd.fill(this.#options.members);
      await produced;
      const isAtEnd = await Promise.race([toEnd.then(() => true), delay(SETTLE_MS_MAX, false)]);
      if (!isAtEnd)
        wrong.push(`the group was not at the log's end ${SETTLE_MS_MAX} ms after it was let alone`);
      await this.#watch.ask();
    } finally {
      clearInterval(progress);
      this.#ending.abort();
      await crowd.stopAll();
    }
    const history = { ends: this.#records.ends, members: await crowd.logs(), committed: this.#watch.seen };
    const { violations, counts } = checkChurn(history, this.#options.client.allowances);
    return { violations: [...wrong, ...violations], counts };
  }

  async #disturb(crowd: Crowd): Promise<string[]> {
    const { ms, members, platformKills } = this.#options;
    const shaking = { crowd, random: this.#random, members };
    const platform = this.#platform;
    if (platformKills === 0 || platform === undefined) {
      await shakeFor(ms, shaking);
      return [];
    }
    return killPlatform(platformKills, {
      ...shaking,
      platform,
      connection: this.#connection(),
      group: this.#group,
      records: this.#records,
      watch: this.#watch,
      onKill: this.#options.onProgress,
    });
  }

  #isEnd(offsets: readonly number[]): boolean {
    const { ends, produced } = this.#records;
    return produced === this.#options.records && ends.every((end, index) => offsets[index] === end);
  }

  async #crowd(): Promise<Crowd> {
    const { client } = this.#options;
    const directory = join(this.#directory, "members");
    await mkdir(directory);
    const { host, port } = this.#address;
    const start = await client.prepare(directory, {
      bootstrap: `${host}:${port}`,
      url: this.#platform?.url ?? "",
      topic: this.#topic,
      group: this.#group,
      protocol: client.protocol,
    });
    return new Crowd(directory, start);
  }

  async #createTopic(): Promise<void> {
    const topic = {
      name: this.#topic,
      numPartitions: this.#options.partitions,
      replicationFactor: 1,
      assignments: [],
      configs: [],
    };
    const connection = this.#connection();
    const { topics } = await connection.ask(createTopicsApi, 5, { topics: [topic], timeoutMs: 30_000 });
    connection.close();
    if (topics[0]?.errorCode !== 0) throw new Error(`no topic: ${topics[0]?.errorMessage}`);
  }

  #connection(): Connection {
    return new Connection(this.#address, this.#ending.signal);
  }

  #tell(crowd: Crowd): void {
    const committed = this.#watch.last.reduce((sum, offset) => sum + Math.max(0, offset), 0);
    this.#options.onProgress(
      `${this.#records.produced} produced, ${committed} committed, ${crowd.alive.length} members`,
    );
  }
}
