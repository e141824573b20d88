import { existsSync, readdirSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { claimPorts } from "../../src/cli/ports.ts";
import { newKafkaLog } from "../load/kafka-log.ts";
import { HOW_TO_INSTALL, type Peer } from "./peer.ts";
import { outputOf, startServer } from "./process.ts";

const LIBS = fileURLToPath(new URL("./kafka/libs", import.meta.url).href);
/** As kafka-server-start.sh and kafka-run-class.sh start it. */
const JVM = [
  "-Xmx1G",
  "-Xms1G",
  "-server",
  "-XX:+UseG1GC",
  "-XX:MaxGCPauseMillis=20",
  "-XX:InitiatingHeapOccupancyPercent=35",
  "-XX:+ExplicitGCInvokesConcurrent",
];
const CLUSTER_ID = "4L6g3nShT-eMCtK--X86sw";

/** One broker, its own controller (KRaft). */
export const KAFKA: readonly Peer[] = [
  kafka("Apache Kafka", false, {}),
  kafka("Apache Kafka, log.flush.interval.messages=1", true, { "log.flush.interval.messages": "1" }),
];

export function javaCommand(mainClass: string): [string, string[]] {
  return ["java", ["-cp", join(LIBS, "*"), mainClass]];
}

export async function kafkaMissing(): Promise<string | undefined> {
  if ((await outputOf("java", ["-version"])) === undefined)
    return "Java is not installed (Debian: openjdk-17-jre-headless)";
  return existsSync(LIBS) ? undefined : `Apache Kafka is not installed; ${HOW_TO_INSTALL} (needs Maven)`;
}

function kafka(name: string, syncsBeforeAck: boolean, extra: Readonly<Record<string, string>>): Peer {
  return {
    name,
    syncsBeforeAck,
    missing: kafkaMissing,
    async start(dataDir) {
      const [port = 0, controllerPort = 0] = await claimPorts("127.0.0.1", [0, 0]);
      const address = `127.0.0.1:${port}`;
      const properties = join(dataDir, "server.properties");
      const settings = { ...settingsFor(dataDir, address, controllerPort), ...extra };
      await writeFile(
        properties,
        Object.entries(settings)
          .map((pair) => pair.join("="))
          .join("\n"),
      );
      const [java, format] = javaCommand("kafka.tools.StorageTool");
      const formatted = await outputOf(java, [...format, "format", "-t", CLUSTER_ID, "-c", properties]);
      if (formatted === undefined) throw new Error("Kafka's storage could not be formatted");
      const [, main] = javaCommand("kafka.Kafka");
      const { pid, stop } = await startServer(java, [...JVM, ...main, properties], port);
      return {
        name,
        version: kafkaVersion(),
        syncsBeforeAck,
        pids: [pid],
        address,
        newLog: () => newKafkaLog(address),
        stop,
      };
    },
  };
}

function settingsFor(dataDir: string, address: string, controllerPort: number): Record<string, string> {
  return {
    "process.roles": "broker,controller",
    "node.id": "1",
    "controller.quorum.voters": `1@127.0.0.1:${controllerPort}`,
    "controller.listener.names": "CONTROLLER",
    listeners: `PLAINTEXT://${address},CONTROLLER://127.0.0.1:${controllerPort}`,
    "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
    "log.dirs": join(dataDir, "logs"),
    "offsets.topic.replication.factor": "1",
    "transaction.state.log.replication.factor": "1",
    "transaction.state.log.min.isr": "1",
    "group.initial.rebalance.delay.ms": "0",
    // What is deleted between measurements must not be deleted during them.
    "file.delete.delay.ms": "1000",
  };
}

function kafkaVersion(): string {
  const jar = readdirSync(LIBS).find((name) => /^kafka_2\.13-[\d.]+\.jar$/.test(name));
  return jar?.slice("kafka_2.13-".length, -".jar".length) ?? "unknown";
}
