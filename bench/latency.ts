/**
 * From a record that is due to the consumer that has it, at fixed rates (open loop: a record is due when it is due,
 * whatever became of those before it). What is due is sent every 5 ms as one batch, which is Kafka's default linger.ms,
 * and counts in the latency.
 */

import { median } from "./harness/latencies.ts";
import type { Answer, Bench, Question } from "./harness/question.ts";
import { inRounds } from "./harness/rounds.ts";
import { EDGELOG, KAFKA_SYNCED, systemText, withSystems } from "./harness/systems.ts";
import type { Cell } from "./harness/table.ts";
import { type EndToEnd, openLoop } from "./load/open-loop.ts";
import type { LogSystem } from "./load/system.ts";

const LINGER_MS = 5;
const SHAPES = [
  { name: "1 KB records at 10 MB/s", valueBytes: 1_000, perSecond: 10_000 },
  { name: "100 B records at 1 MB/s", valueBytes: 100, perSecond: 10_000 },
  { name: "1 KB records at 0.1 MB/s", valueBytes: 1_000, perSecond: 100 },
] as const;
const QUANTILES = [0.5, 0.99, 0.999] as const;

export const latency: Question = {
  name: "latency",
  title: "End to end: from a record that is due to its consumer",
  answer: (bench) => withSystems(({ all, missing }) => measureAll(bench, all, missing)),
};

interface Quantiles {
  readonly ms: readonly number[];
  readonly perSecond: number;
}

async function measureAll(
  bench: Bench,
  systems: readonly LogSystem[],
  missing: readonly string[],
): Promise<Answer> {
  const rounds = bench.pick({ quick: 1, normal: 3, full: 5 });
  const times = bench.pick({
    quick: { warmUpMs: 500, ms: 1_000 },
    normal: { warmUpMs: 1_000, ms: 4_000 },
    full: { warmUpMs: 3_000, ms: 20_000 },
  });
  const found = await inRounds(
    bench,
    { shapes: SHAPES, systems, rounds, share: 1 },
    async (system, shape) => {
      const log = await system.newLog();
      const result = await openLoop(log, { ...shape, ...times, lingerMs: LINGER_MS });
      await log.remove();
      return quantilesOf(result);
    },
  );
  const figures = (shape: (typeof SHAPES)[number], system: string) => medianOf(found(shape, system));
  const tables = SHAPES.map((shape) => ({
    title: `${shape.name} (${shape.perSecond} records/s)`,
    columns: ["system", "p50 ms", "p99 ms", "p99.9 ms", { name: "records/s", digits: 0 }],
    rows: systems.map((system): Cell[] => {
      const { ms, perSecond: achieved } = figures(shape, system.name);
      return [systemText(system), ...ms, achieved];
    }),
  }));
  const [first] = SHAPES;
  const ours = figures(first, EDGELOG).ms[1] ?? Number.NaN;
  const kafkas = figures(first, KAFKA_SYNCED).ms[1] ?? Number.NaN;
  const targets = [
    {
      target: "End-to-end p99 at 10 MB/s of 1 KB records: Kafka's at equal durability, over Edgelog's",
      measured: Number.isNaN(kafkas) ? undefined : kafkas / ours,
      bound: { atLeast: 1 },
      unit: "×",
    },
  ];
  return { tables, targets, notes: [...NOTES, ...missing] };
}

const NOTES = [
  "One producer and one consumer, each with a connection of its own, in one process; quantiles are those of a round, and the median of the rounds counts.",
  "Where records/s is less than the rate, the system could not keep up; what had not come 5 s after the last record was due counts as having come then.",
];

function quantilesOf({ latencies, perSecond }: EndToEnd): Quantiles {
  return { ms: QUANTILES.map((share) => latencies.quantile(share)), perSecond };
}

function medianOf(rounds: readonly Quantiles[]): Quantiles {
  return {
    ms: QUANTILES.map((_, index) => median(rounds.map(({ ms }) => ms[index] ?? Number.NaN))),
    perSecond: median(rounds.map(({ perSecond }) => perSecond)),
  };
}
