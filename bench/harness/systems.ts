import { mkdtemp } from "node:fs/promises";
import { join } from "node:path";
import { newKafkaLog } from "../load/kafka-log.ts";
import type { LogSystem } from "../load/system.ts";
import { KAFKA } from "../peers/kafka.ts";
import { NATS } from "../peers/nats.ts";
import type { Peer, RunningPeer } from "../peers/peer.ts";
import { REDIS } from "../peers/redis.ts";
import { inTemporaryDirectory } from "./directories.ts";
import { withPlatform } from "./platforms.ts";

export const EDGELOG = "Edgelog";
export const KAFKA_SYNCED = "Apache Kafka, log.flush.interval.messages=1";

export interface Systems {
  readonly all: readonly LogSystem[];
  /** One sentence for each system that could not be measured. */
  readonly missing: readonly string[];
}

/** Starts Edgelog and every peer that is installed, all at once: what does not work now idles. */
export function withSystems<T>(run: (systems: Systems) => Promise<T>): Promise<T> {
  return withPlatform("edgelog", ({ url, kafkaAddress, workerdPid }) =>
    inTemporaryDirectory("peers", async (directory) => {
      const edgelog: KafkaSystem = {
        name: EDGELOG,
        version: "this one",
        syncsBeforeAck: true,
        pids: [workerdPid],
        address: kafkaAddress,
        url,
        newLog: () => newKafkaLog(kafkaAddress),
      };
      const running: RunningPeer[] = [];
      const missing: string[] = [];
      try {
        for (const peer of [...KAFKA, ...NATS, ...REDIS]) {
          const reason = await peer.missing();
          if (reason === undefined) running.push(await inSubdirectory(directory, peer));
          else missing.push(`${peer.name}: missing. ${reason}.`);
        }
        return await run({ all: [edgelog, ...running], missing });
      } finally {
        await Promise.all(running.map((peer) => peer.stop()));
      }
    }),
  );
}

/** Speaks Kafka. */
export interface KafkaSystem extends LogSystem {
  readonly address: string;
  /** Of Edgelog. */
  readonly url?: string;
}

export function isKafkaSystem(system: LogSystem): system is KafkaSystem {
  return "address" in system;
}

async function inSubdirectory(directory: string, peer: Peer): Promise<RunningPeer> {
  return peer.start(await mkdtemp(join(directory, "peer-")));
}

/** For the tables: what it is, and what an acknowledgement promises. */
export function systemText({ name, version, syncsBeforeAck }: LogSystem): string {
  return `${name} (${version})${syncsBeforeAck ? "" : " — no sync before the ack"}`;
}
