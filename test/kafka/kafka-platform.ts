import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type PlatformOptions, startPlatform } from "../../src/cli/platform.ts";
import type { HostAndPort } from "../../src/kafka/brokers.ts";
import { parseHostsAndPorts } from "../../src/kafka/brokers.ts";

export interface KafkaPlatform {
  readonly url: string;
  /** `host:port`, as Kafka clients take it. */
  readonly bootstrap: string;
  readonly brokers: readonly HostAndPort[];
  readonly workerdPid: number;
  readonly dataDir: string;
  stop(): Promise<void>;
}

/** The whole platform on free ports, in a directory of its own that goes with it. */
export async function startKafkaPlatform(options: Partial<PlatformOptions> = {}): Promise<KafkaPlatform> {
  const dataDir = await mkdtemp(join(tmpdir(), "edgelog-kafka-"));
  const platform = await startPlatform({ port: 0, kafkaPorts: [0], dataDir, quiet: true, ...options });
  return {
    url: platform.url,
    bootstrap: platform.kafkaAddresses.join(","),
    brokers: parseHostsAndPorts(platform.kafkaAddresses.join(",")),
    workerdPid: Number(await readFile(join(dataDir, "workerd.pid"), "utf8")),
    dataDir,
    async stop() {
      await platform.stop();
      await rm(dataDir, { recursive: true, force: true });
    },
  };
}
