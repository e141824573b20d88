/** The clients whose loops are shaken, and how a worker and a reader of each is started. */

import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { delimiter, join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { build } from "esbuild";
import type { MemberCommand } from "../churn/member-process.ts";
import type { Isolation } from "./check.ts";

export interface LoopClient {
  readonly name: string;
  /** What its workers are told to speak. */
  readonly protocol: string;
  /**
   * Whether its workers say with their offsets which member of the group they are (KIP-447), so each may have any
   * transactional id. Else a partition of the input has one, whoever works on it.
   */
  readonly sendsGroupMetadata: boolean;
  /** Why it cannot be run here. */
  missing(): string | undefined;
  /** Makes what it needs in `directory`; the command it returns is given arguments. */
  prepare(directory: string): Promise<MemberCommand>;
}

export interface WorkerTarget {
  readonly bootstrap: string;
  readonly protocol: string;
  readonly input: string;
  readonly output: string;
  readonly outputPartitions: number;
  readonly group: string;
  readonly transactionalId: string;
  readonly seed: number;
}

export interface ReaderTarget {
  readonly bootstrap: string;
  readonly topic: string;
  readonly partitions: number;
  readonly isolation: Isolation;
}

const WORKERS = fileURLToPath(new URL("./workers/", import.meta.url).href);
const run = promisify(execFile);

export const CLIENTS: readonly LoopClient[] = [
  {
    name: "kafkajs",
    protocol: "classic",
    sendsGroupMetadata: false,
    missing: () => undefined,
    prepare: async () => ({ command: process.execPath, args: [join(WORKERS, "kafkajs.ts")] }),
  },
  librdkafka("librdkafka-eager", "eager"),
  librdkafka("librdkafka-cooperative", "cooperative"),
  librdkafka("librdkafka-consumer", "consumer"),
  java("java-eager", "eager"),
  java("java-cooperative", "cooperative"),
  java("java-consumer", "consumer"),
];

export function workerArguments(target: WorkerTarget): string[] {
  const { bootstrap, protocol, input, output, outputPartitions, group, transactionalId, seed } = target;
  return [
    "work",
    bootstrap,
    protocol,
    input,
    output,
    String(outputPartitions),
    group,
    transactionalId,
    String(seed),
  ];
}

export function readerArguments({ bootstrap, topic, partitions, isolation }: ReaderTarget): string[] {
  return ["read", bootstrap, topic, String(partitions), isolation];
}

function librdkafka(name: string, protocol: string): LoopClient {
  const { EDGELOG_CHURN_LIBRDKAFKA: library, EDGELOG_CHURN_LIBRDKAFKA_NODE: command = process.execPath } =
    process.env;
  return {
    name,
    protocol,
    sendsGroupMetadata: true,
    missing: () =>
      library !== undefined && existsSync(library)
        ? undefined
        : "EDGELOG_CHURN_LIBRDKAFKA does not name a directory with @confluentinc/kafka-javascript (and EDGELOG_CHURN_LIBRDKAFKA_NODE the node that it was built for, if that is another)",
    async prepare(directory) {
      // As JavaScript: the library may have been built for a node that knows no TypeScript.
      const outfile = join(directory, "librdkafka.mjs");
      const entryPoints = [join(WORKERS, "librdkafka.ts")];
      await build({ entryPoints, outfile, bundle: true, platform: "node", format: "esm" });
      return { command, args: [outfile] };
    },
  };
}

function java(name: string, protocol: string): LoopClient {
  const classpath = process.env.EDGELOG_CHURN_KAFKA_CLASSPATH ?? "";
  return {
    name,
    protocol,
    sendsGroupMetadata: true,
    missing: () =>
      classpath === ""
        ? "EDGELOG_CHURN_KAFKA_CLASSPATH is no class path with kafka-clients 4.x and slf4j-api"
        : undefined,
    async prepare(directory) {
      await run("javac", ["-cp", classpath, "-d", directory, join(WORKERS, "JavaWorker.java")]);
      const options = ["-Xmx128m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xshare:auto"];
      const classes = [directory, classpath].join(delimiter);
      return { command: "java", args: [...options, "-cp", classes, "JavaWorker"] };
    },
  };
}
