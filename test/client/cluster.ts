/** The real platform for a test file, and a client of it. */

import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll } from "vitest";
import { type Platform, startPlatform } from "../../src/cli/platform.ts";
import { Edgelog, type EdgelogOptions } from "../../src/client/index.ts";
import { FaultyProxy } from "./faulty-proxy.ts";

export interface TestCluster {
  readonly url: string;
  /** `host:port` for Kafka clients. */
  readonly kafkaAddress: string;
  /** The same cluster, over a connection that a test can break. */
  readonly proxy: FaultyProxy;
  client(options?: Partial<EdgelogOptions>): Edgelog;
  /** A topic of the test's own. */
  newTopic(partitions?: number, configs?: Record<string, string>): Promise<string>;
  /** Numbers, each to the next partition, with keys that no connection can compress, in batches of at most 20 kB. */
  produce(topic: string, count: number, partitions: number, from?: number): Promise<void>;
}

export interface TestClusterOptions {
  readonly rootToken?: string;
  readonly allowedOrigins?: string;
  /** Kafka clients may connect, too. */
  readonly takesKafka?: boolean;
}

/** Starts the platform before the file's tests and stops it after them. */
export function useCluster({ rootToken, allowedOrigins, takesKafka }: TestClusterOptions = {}): TestCluster {
  let platform: Platform | undefined;
  let dataDir: string | undefined;
  const proxy = new FaultyProxy();
  let topics = 0;
  const started = () => {
    if (platform === undefined) throw new Error("the platform has not started");
    return platform;
  };

  beforeAll(async () => {
    dataDir = await mkdtemp(join(tmpdir(), "edgelog-client-"));
    platform = await startPlatform({
      host: "127.0.0.1",
      port: 0,
      dataDir,
      quiet: true,
      ...(takesKafka === true && { kafkaPorts: [0] }),
      ...(rootToken !== undefined && { rootToken }),
      ...(allowedOrigins !== undefined && { vars: { EDGELOG_ALLOWED_ORIGINS: allowedOrigins } }),
    });
    await proxy.start(new URL(platform.url));
  });
  afterAll(async () => {
    await proxy.stop();
    await platform?.stop();
    if (dataDir !== undefined) await rm(dataDir, { recursive: true, force: true });
  });

  const client = (more: Partial<EdgelogOptions> = {}) =>
    new Edgelog({
      url: started().url,
      ...(rootToken !== undefined && { token: rootToken }),
      ...more,
    });
  return {
    get url() {
      return started().url;
    },
    get kafkaAddress() {
      const [address] = started().kafkaAddresses;
      if (address === undefined) throw new Error("the cluster takes no Kafka clients");
      return address;
    },
    proxy,
    client,
    async newTopic(partitions = 1, configs = {}) {
      const name = `topic-${++topics}`;
      await client().topics.create(name, { partitions, configs });
      return name;
    },
    async produce(topic, count, partitions, from = 0) {
      const producer = client().producer({ topic, maxRequestSize: 20_000 });
      await producer.sendAll(
        Array.from({ length: count }, (_, i) => ({
          key: crypto.getRandomValues(new Uint8Array(50)),
          value: `${from + i}`,
          partition: (from + i) % partitions,
        })),
      );
      await producer.close();
    },
  };
}

/** The first `count` records. */
export async function take<T>(source: AsyncIterable<T>, count: number): Promise<T[]> {
  const taken: T[] = [];
  if (count === 0) return taken;
  for await (const each of source) {
    taken.push(each);
    if (taken.length === count) break;
  }
  return taken;
}

/** All there is up to the log end. */
export function readAll(client: Edgelog, topic: string): Promise<Awaited<ReturnType<typeof collect>>> {
  return collect(client.consume(topic, { from: "earliest", follow: false }));
}

async function collect(source: ReturnType<Edgelog["consume"]>) {
  const all = [];
  for await (const record of source) all.push(record);
  return all;
}
