/** Apache Kafka's own load tools, against whoever speaks its protocol. */

import type { KafkaSystem } from "../harness/systems.ts";
import { javaCommand } from "../peers/kafka.ts";
import { outputOf } from "../peers/process.ts";
import { newKafkaLog } from "./kafka-log.ts";

export interface Load {
  readonly records: number;
  readonly valueBytes: number;
}

/** kafka-producer-perf-test, as fast as it can. Latencies are its own: from send() to the acknowledgement. */
export async function producerPerf({ address }: KafkaSystem, { records, valueBytes }: Load) {
  const log = await newKafkaLog(address);
  try {
    const printed = await run("org.apache.kafka.tools.ProducerPerformance", [
      ...["--topic", log.topic, "--num-records", String(records), "--record-size", String(valueBytes)],
      ...["--throughput", "-1", "--bootstrap-server", address],
      ...["--command-property", "acks=all"],
    ]);
    const last = printed.split("\n").findLast((line) => line.includes("99th"));
    const figures = /([\d.]+) records\/sec.* ([\d.]+) ms 50th, .* ([\d.]+) ms 99th/.exec(last ?? "");
    if (figures === null) throw new Error(`kafka-producer-perf-test printed: ${printed.slice(-1_000)}`);
    return { perSecond: Number(figures[1]), p50Ms: Number(figures[2]), p99Ms: Number(figures[3]) };
  } finally {
    await log.remove();
  }
}

/** kafka-consumer-perf-test: one consumer of a group reads so many records from the beginning. */
export async function consumerPerf({ address }: KafkaSystem, topic: string, records: number) {
  const printed = await run("org.apache.kafka.tools.ConsumerPerformance", [
    ...["--bootstrap-server", address, "--topic", topic, "--num-records", String(records)],
    ...["--group", `perf-${topic}`, "--timeout", "60000"],
  ]);
  // start.time, end.time, data.consumed.in.MB, MB.sec, data.consumed.in.nMsg, nMsg.sec, rebalance.time.ms,
  // fetch.time.ms, fetch.MB.sec, fetch.nMsg.sec
  const figures = printed
    .split("\n")
    .findLast((line) => /^\d{4}-/.test(line))
    ?.split(",");
  if (figures === undefined) throw new Error(`kafka-consumer-perf-test printed: ${printed.slice(-1_000)}`);
  return { perSecond: Number(figures[9]) };
}

async function run(mainClass: string, args: readonly string[]): Promise<string> {
  const [java, main] = javaCommand(mainClass);
  const printed = await outputOf(java, ["-Xmx512M", ...main, ...args]);
  if (printed === undefined) throw new Error(`${mainClass} ${args.join(" ")} failed`);
  return printed;
}
