/**
 * How much one producer gets acknowledged on one partition (stream): records of 100 B and of 1 KB, in batches of 64 KB and
 * one by one, as many under way as keep the system busy. Systems without batches get the same records at once and answer
 * each. Where Java is installed, Kafka's own kafka-producer-perf-test drives Edgelog and Kafka as well.
 */

import { median } from "./harness/latencies.ts";
import { cpuMs } from "./harness/process.ts";
import type { Answer, Bench, Question, TargetResult } from "./harness/question.ts";
import { type Found, inRounds } from "./harness/rounds.ts";
import { EDGELOG, isKafkaSystem, KAFKA_SYNCED, systemText, withSystems } from "./harness/systems.ts";
import type { Cell, Table } from "./harness/table.ts";
import { drive } from "./load/drive.ts";
import { producerPerf } from "./load/kafka-perf.ts";
import type { LogSystem } from "./load/system.ts";
import { valuesOf } from "./load/values.ts";
import { kafkaMissing } from "./peers/kafka.ts";

const SHAPES = [
  { name: "1 KB records, batches of 64 KB", valueBytes: 1_000, records: 64, callers: 16 },
  { name: "100 B records, batches of 64 KB", valueBytes: 100, records: 600, callers: 16 },
  { name: "1 KB records, one by one", valueBytes: 1_000, records: 1, callers: 64 },
] as const;

type Shape = (typeof SHAPES)[number];

interface Rate {
  readonly perSecond: number;
  /** Of the servers, per record. */
  readonly cpuMicros: number;
}

export const produce: Question = {
  name: "produce",
  title: "Produce throughput of one partition",
  answer: (bench) => withSystems(({ all, missing }) => measureAll(bench, all, missing)),
};

async function measureAll(
  bench: Bench,
  systems: readonly LogSystem[],
  missing: readonly string[],
): Promise<Answer> {
  const rounds = bench.pick({ quick: 1, normal: 3, full: 5 });
  const times = bench.pick({
    quick: { warmUpMs: 300, ms: 500 },
    normal: { warmUpMs: 1_000, ms: 2_000 },
    full: { warmUpMs: 3_000, ms: 5_000 },
  });
  const found = await inRounds(
    bench,
    { shapes: SHAPES, systems, rounds, share: 0.8 },
    (system, shape: Shape) => measure(system, shape, times),
  );
  const rate = (shape: Shape, name: string) => median(found(shape, name).map(({ perSecond }) => perSecond));
  const tables = SHAPES.map((shape) => tableOf(shape, systems, found));
  const perf = await perfTable(bench, systems);
  const [batched] = SHAPES;
  const [ours, kafkas] = [rate(batched, EDGELOG), rate(batched, KAFKA_SYNCED)];
  const targets: TargetResult[] = [
    {
      target: "Produce throughput of 1 KB records, of Kafka's at equal durability (the same client)",
      measured: Number.isNaN(kafkas) ? undefined : ours / kafkas,
      bound: { atLeast: 1 },
      unit: "×",
    },
    {
      target: "Records of 1 KB on one partition in batches, per second",
      measured: ours,
      bound: { atLeast: 100_000 },
    },
  ];
  if (perf.ratio !== undefined) {
    targets.push({
      target: "The same by kafka-producer-perf-test",
      measured: perf.ratio,
      bound: { atLeast: 1 },
      unit: "×",
    });
  }
  return { tables: [...tables, ...perf.tables], targets, notes: [...NOTES, ...perf.notes, ...missing] };
}

const NOTES = [
  "One connection; each round ends a shape for all systems before the next begins, and the median of the rounds counts. Idle systems stay up meanwhile.",
  "Edgelog tiers to R2 while it is measured, as it does by default.",
];

async function measure(
  system: LogSystem,
  { valueBytes, records, callers }: Shape,
  times: { readonly warmUpMs: number; readonly ms: number },
): Promise<Rate> {
  const log = await system.newLog();
  const producer = await log.openProducer();
  const prepared = producer.prepare(valuesOf(records, valueBytes));
  try {
    const cpuBefore = await cpuOf(system);
    const how = { partitions: 1, callers, ...times };
    const { appends, allAppends, ms } = await drive(how, () => producer.send(prepared));
    const cpu = (await cpuOf(system)) - cpuBefore;
    return { perSecond: (appends * records * 1_000) / ms, cpuMicros: (cpu * 1_000) / (allAppends * records) };
  } finally {
    producer.close();
    await log.remove();
  }
}

function tableOf(shape: Shape, systems: readonly LogSystem[], found: Found<Shape, Rate>): Table {
  const rows = systems.map((system) => {
    const rates = found(shape, system.name);
    return {
      system,
      perSecond: median(rates.map(({ perSecond }) => perSecond)),
      cpu: median(rates.map(({ cpuMicros }) => cpuMicros)),
    };
  });
  const ours = rows.find(({ system }) => system.name === EDGELOG)?.perSecond ?? Number.NaN;
  return {
    title: `${shape.name}, ${shape.callers} under way`,
    columns: [
      "system",
      { name: "records/s", digits: 0 },
      "MB/s",
      "CPU µs per record",
      { name: "Edgelog ×", digits: 2 },
    ],
    rows: rows.map(({ system, perSecond, cpu }): Cell[] => [
      systemText(system),
      perSecond,
      (perSecond * shape.valueBytes) / 1e6,
      cpu,
      ours / perSecond,
    ]),
  };
}

async function perfTable(bench: Bench, systems: readonly LogSystem[]) {
  const reason = await kafkaMissing();
  if (reason !== undefined) {
    return { tables: [], ratio: undefined, notes: [`kafka-producer-perf-test: missing. ${reason}.`] };
  }
  const records = bench.pick({ quick: 20_000, normal: 300_000, full: 1_000_000 });
  const kafkas = systems.filter(isKafkaSystem);
  const rows: Cell[][] = [];
  const rates = new Map<string, number>();
  for (const [index, system] of kafkas.entries()) {
    bench.progress(`kafka-producer-perf-test: ${system.name}`, 0.8 + (0.2 * index) / kafkas.length);
    const result = await producerPerf(system, { records, valueBytes: 1_000 });
    rates.set(system.name, result.perSecond);
    rows.push([systemText(system), result.perSecond, result.perSecond / 1_000, result.p50Ms, result.p99Ms]);
  }
  const table: Table = {
    title: `kafka-producer-perf-test, ${records} records of 1 KB, acks=all, its own defaults`,
    columns: ["system", { name: "records/s", digits: 0 }, "MB/s", "p50 ms", "p99 ms"],
    rows,
  };
  const ratio = (rates.get(EDGELOG) ?? Number.NaN) / (rates.get(KAFKA_SYNCED) ?? Number.NaN);
  return { tables: [table], ratio: Number.isNaN(ratio) ? undefined : ratio, notes: [] };
}

async function cpuOf({ pids }: LogSystem): Promise<number> {
  const all = await Promise.all(pids.map(cpuMs));
  return all.reduce((sum, ms) => sum + ms, 0);
}
