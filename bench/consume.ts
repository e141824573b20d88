/**
 * How fast one consumer reads: what lies on disk (catching up from the beginning), for Edgelog also what lies in R2 only,
 * and the tail while a producer writes as fast as it can.
 */

import { setTimeout as delay } from "node:timers/promises";
import { median } from "./harness/latencies.ts";
import type { Answer, Bench, Question } from "./harness/question.ts";
import { isKafkaSystem, systemText, withSystems } from "./harness/systems.ts";
import type { Cell } from "./harness/table.ts";
import { drive } from "./load/drive.ts";
import { newKafkaLog } from "./load/kafka-log.ts";
import { consumerPerf } from "./load/kafka-perf.ts";
import type { Log, LogSystem } from "./load/system.ts";
import { valuesOf } from "./load/values.ts";
import { kafkaMissing } from "./peers/kafka.ts";

const MB = 1e6;
const VALUE_BYTES = 1_000;
const RECORDS_PER_BATCH = 64;
const BATCHES_UNDER_WAY = 16;
/** Everything but the active segment leaves SQLite as soon as it is uploaded. */
const REMOTE_ONLY = { "local.retention.bytes": "1", "edgelog.local.drop.delay.ms": "0" };
const LOCAL_ONLY = { "remote.log.copy.disable": "true" };

export const consume: Question = {
  name: "consume",
  title: "Consume throughput of one partition",
  answer: (bench) => withSystems(({ all, missing }) => measureAll(bench, all, missing)),
};

/** A system, and where its records lie. */
interface Subject {
  readonly name: string;
  readonly system: LogSystem;
  readonly newLog: () => Promise<Log>;
  readonly isRemote: boolean;
}

async function measureAll(
  bench: Bench,
  systems: readonly LogSystem[],
  missing: readonly string[],
): Promise<Answer> {
  const bytes = bench.pick({ quick: 32, normal: 192, full: 1_024 }) * MB;
  const rounds = bench.pick({ quick: 1, normal: 3, full: 3 });
  const subjects = systems.flatMap(subjectsOf);
  const catchUp: Cell[][] = [];
  for (const [index, subject] of subjects.entries()) {
    bench.progress(`catching up: ${subject.name}`, (0.6 * index) / subjects.length);
    const log = await subject.newLog();
    await fill(log, bytes);
    if (subject.isRemote) await isTiered(subject, log);
    const rates: number[] = [];
    for (let round = 0; round < rounds; round++) rates.push(await readAll(log, bytes));
    catchUp.push([subject.name, median(rates) / VALUE_BYTES, median(rates) / MB]);
    await log.remove();
  }
  const tail: Cell[][] = [];
  for (const [index, system] of systems.entries()) {
    bench.progress(`the tail: ${system.name}`, 0.6 + (0.3 * index) / systems.length);
    const log = await system.newLog();
    const ms = bench.pick({ quick: 500, normal: 3_000, full: 10_000 });
    const { produced, consumed } = await follow(log, ms);
    tail.push([systemText(system), produced / MB, consumed / MB]);
    await log.remove();
  }
  const perf = await perfTable(bench, systems);
  return {
    tables: [
      {
        title: `Catching up: ${bytes / MB} MB of 1 KB records, from the beginning`,
        columns: ["system", { name: "records/s", digits: 0 }, "MB/s"],
        rows: catchUp,
      },
      {
        title:
          "The tail: one producer as fast as it can (batches of 64 KB, 16 under way), one consumer behind it",
        columns: ["system", "MB/s produced", "MB/s consumed"],
        rows: tail,
      },
      ...perf.tables,
    ],
    notes: [...perf.notes, ...missing],
  };
}

function subjectsOf(system: LogSystem): Subject[] {
  const { name, newLog } = system;
  if (name !== "Edgelog" || !isKafkaSystem(system)) {
    return [{ name: systemText(system), system, newLog, isRemote: false }];
  }
  const { address } = system;
  return [
    { name: "Edgelog, from SQLite", system, newLog: () => newKafkaLog(address, LOCAL_ONLY), isRemote: false },
    { name: "Edgelog, from R2", system, newLog: () => newKafkaLog(address, REMOTE_ONLY), isRemote: true },
  ];
}

async function fill(log: Log, bytes: number): Promise<void> {
  const producer = await log.openProducer();
  const batch = producer.prepare(valuesOf(RECORDS_PER_BATCH, VALUE_BYTES));
  let left = Math.ceil(bytes / RECORDS_PER_BATCH / VALUE_BYTES);
  const write = async () => {
    while (left-- > 0) await producer.send(batch);
  };
  await Promise.all(Array.from({ length: BATCHES_UNDER_WAY }, write));
  producer.close();
}

/** Bytes a second. */
async function readAll(log: Log, bytes: number): Promise<number> {
  const consumer = await log.openConsumer();
  const beginMs = performance.now();
  let records = 0;
  while (records * VALUE_BYTES < bytes) records += (await consumer.next()).records;
  const seconds = (performance.now() - beginMs) / 1_000;
  consumer.close();
  return (records * VALUE_BYTES) / seconds;
}

/** Bytes a second that a producer gets acknowledged, and that a consumer gets meanwhile. */
async function follow(log: Log, ms: number) {
  const consumer = await log.openConsumer();
  const producer = await log.openProducer();
  const batch = producer.prepare(valuesOf(RECORDS_PER_BATCH, VALUE_BYTES));
  const warmUpMs = ms / 4;
  const beginMs = performance.now() + warmUpMs;
  let consumed = 0;
  const consuming = (async () => {
    for (;;) {
      const { records } = await consumer.next();
      const nowMs = performance.now();
      if (nowMs >= beginMs && nowMs < beginMs + ms) consumed += records;
    }
  })();
  consuming.catch(() => undefined);
  const how = { partitions: 1, callers: BATCHES_UNDER_WAY, warmUpMs, ms };
  const { appends } = await drive(how, () => producer.send(batch));
  consumer.close();
  producer.close();
  const perSecond = (records: number) => (records * VALUE_BYTES * 1_000) / ms;
  return { produced: perSecond(appends * RECORDS_PER_BATCH), consumed: perSecond(consumed) };
}

async function isTiered({ system }: Subject, log: Log): Promise<void> {
  if (!isKafkaSystem(system) || !("topic" in log)) return;
  for (;;) {
    const response = await fetch(`${system.url}/v1/topics/${log.topic}/partitions/0`);
    const { local_segments: local } = JSON.parse(await response.text());
    if (local <= 1) return;
    await delay(100);
  }
}

async function perfTable(bench: Bench, systems: readonly LogSystem[]) {
  const reason = await kafkaMissing();
  if (reason !== undefined) return { tables: [], notes: [`kafka-consumer-perf-test: missing. ${reason}.`] };
  const bytes = bench.pick({ quick: 16, normal: 192, full: 1_024 }) * MB;
  const rows: Cell[][] = [];
  const kafkas = systems.filter(isKafkaSystem);
  for (const [index, system] of kafkas.entries()) {
    bench.progress(`kafka-consumer-perf-test: ${system.name}`, 0.9 + (0.1 * index) / kafkas.length);
    const log = await newKafkaLog(system.address);
    await fill(log, bytes);
    const { perSecond } = await consumerPerf(system, log.topic, bytes / VALUE_BYTES);
    rows.push([systemText(system), perSecond, (perSecond * VALUE_BYTES) / MB]);
    await log.remove();
  }
  const columns = ["system", { name: "records/s", digits: 0 }, "MB/s"];
  const title = `kafka-consumer-perf-test, ${bytes / MB} MB of 1 KB records, its own defaults`;
  return { tables: [{ title, columns, rows }], notes: [] };
}
