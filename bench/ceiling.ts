/**
 * Where the time of an append goes: a bare Durable Object that inserts the same bytes, then one layer after another.
 * Every layer has the same number of appends under way, and so the same chance to group them.
 */

import { median } from "./harness/latencies.ts";
import {
  answerOf,
  createTopic,
  deleteTopic,
  type RunningPlatform,
  withPlatform,
} from "./harness/platforms.ts";
import { cpuMs } from "./harness/process.ts";
import type { Answer, Bench, Question, TargetResult } from "./harness/question.ts";
import type { Cell, Table } from "./harness/table.ts";
import { batchOfBytes } from "./load/batches.ts";
import { type Channel, tcpChannel, webSocketChannel } from "./load/channel.ts";
import { type Drive, type Driven, drive } from "./load/drive.ts";
import { FramedClient } from "./load/framed-client.ts";
import { HttpConnection } from "./load/http.ts";
import { KafkaClient } from "./load/kafka.ts";

const KiB = 1024;
const BYTES_IN_FLIGHT = 4 * 1024 * KiB;
const CALLERS = { least: 8, most: 64 } as const;
const TARGET_BATCH = 64 * KiB;
/** Uploads to R2 are work that the bare object does not do; they are measured where they belong. */
const WITHOUT_TIERING = { "remote.log.copy.disable": "true" };

export const ceiling: Question = {
  name: "ceiling",
  title: "Where an append's time goes",
  answer: (bench) =>
    withPlatform("bare", (bare) => withPlatform("driven", (edgelog) => measureAll(bench, { bare, edgelog }))),
};

interface Platforms {
  readonly bare: RunningPlatform;
  readonly edgelog: RunningPlatform;
}

interface Shape {
  readonly batchBytes: number;
  readonly partitions: number;
}

/** What is between the bytes and the insert. */
interface Layer {
  readonly name: string;
  readonly on: keyof Platforms;
  measure(platforms: Platforms, how: Drive, batch: Uint8Array): Promise<Driven>;
}

const LAYERS = [
  { on: "bare", name: "bare object, from inside", measure: driveBare("/bench/inside") },
  { on: "bare", name: "bare object over RPC", measure: driveBare("/bench/rpc") },
  { on: "bare", name: "bare object over an RPC session", measure: driveBare("/bench/session") },
  { on: "bare", name: "minimal pipe over TCP", measure: drivePipe },
  { on: "edgelog", name: "PartitionLog over RPC", measure: drivePartitionLog },
  {
    on: "edgelog",
    name: "Kafka gateway over TCP",
    measure: driveKafka(({ kafkaAddress }) => tcpChannel(kafkaAddress)),
  },
  {
    on: "edgelog",
    name: "Kafka gateway over WebSocket",
    measure: driveKafka(({ url }) => webSocketChannel(url)),
  },
  { on: "edgelog", name: "HTTP", measure: driveHttp },
] as const satisfies readonly Layer[];

type LayerName = (typeof LAYERS)[number]["name"];

async function measureAll(bench: Bench, platforms: Platforms): Promise<Answer> {
  const shapes = shapesOf(bench);
  const rounds = bench.pick({ quick: 1, normal: 2, full: 3 });
  const times = bench.pick({
    quick: { warmUpMs: 100, ms: 400 },
    normal: { warmUpMs: 300, ms: 1_200 },
    full: { warmUpMs: 500, ms: 3_000 },
  });
  const steps = shapes.length * rounds * LAYERS.length;
  let step = 0;
  const measured: Measured[] = [];
  for (const shape of shapes) {
    const batch = batchOfBytes(shape.batchBytes);
    const how = { partitions: shape.partitions, callers: callersOf(shape), ...times };
    const rates = new Map<LayerName, number[]>();
    const cpu = new Map<LayerName, number[]>();
    for (let round = 0; round < rounds; round++) {
      for (const { name, on, measure } of LAYERS) {
        bench.progress(`${shapeText(shape)}: ${name}`, step++ / steps);
        const { workerdPid } = platforms[on];
        const cpuBefore = await cpuMs(workerdPid);
        const { appends, allAppends, ms } = await measure(platforms, how, batch);
        const cpuPerAppend = ((await cpuMs(workerdPid)) - cpuBefore) / allAppends;
        rates.set(name, [...(rates.get(name) ?? []), (appends * 1_000) / ms]);
        cpu.set(name, [...(cpu.get(name) ?? []), cpuPerAppend * 1_000]);
      }
    }
    const medians = (of: typeof rates) =>
      new Map(LAYERS.map(({ name }) => [name, median(of.get(name) ?? [])] as const));
    measured.push({
      shape,
      callers: how.callers,
      batchBytes: batch.length,
      rates: medians(rates),
      cpuMicros: medians(cpu),
    });
  }
  return { tables: measured.map(tableOf), targets: targetsOf(measured), notes: NOTES };
}

const NOTES = [
  "Closed loop: so many appends are under way at once, each begins when the one before it is answered. The partitions' topic has remote.log.copy.disable, so that nothing is uploaded meanwhile.",
  "CPU µs: what workerd used per append, in all its threads; on a busy machine it tells more than the rates do.",
  "Locally the Worker and its objects share one thread, and the client has the other core; what is answered is durable (one fsync per commit) in every layer.",
];

interface Measured {
  readonly shape: Shape;
  readonly callers: number;
  readonly batchBytes: number;
  /** Appends a second. */
  readonly rates: ReadonlyMap<LayerName, number>;
  /** Of workerd, all its threads, per append. */
  readonly cpuMicros: ReadonlyMap<LayerName, number>;
}

function tableOf({ shape, callers, batchBytes, rates, cpuMicros }: Measured): Table {
  const bare = rates.get("bare object, from inside") ?? Number.NaN;
  const pipe = rates.get("minimal pipe over TCP") ?? Number.NaN;
  const rows = LAYERS.map(({ name }): Cell[] => {
    const rate = rates.get(name) ?? Number.NaN;
    return [name, (rate * batchBytes) / 1e6, rate, 1e6 / rate, cpuMicros.get(name), rate / bare, rate / pipe];
  });
  const columns = [
    "layer",
    "MB/s",
    "appends/s",
    "µs per append",
    "CPU µs",
    { name: "× bare object", digits: 2 },
    { name: "× pipe", digits: 2 },
  ];
  return { title: `${shapeText(shape)}, ${callers} in flight each`, columns, rows };
}

function targetsOf(measured: readonly Measured[]): TargetResult[] {
  const single = measured.find(({ shape }) => shape.batchBytes === KiB && shape.partitions === 1);
  const found = measured.find(({ shape }) => shape.batchBytes === TARGET_BATCH && shape.partitions === 1);
  const ratio = (name: LayerName, to: LayerName) => {
    const [rate, base] = [found?.rates.get(name), found?.rates.get(to)];
    return rate === undefined || base === undefined ? undefined : rate / base;
  };
  return [
    {
      target: "PartitionLog over RPC, of the bare object from inside (64 KB batches)",
      measured: ratio("PartitionLog over RPC", "bare object, from inside"),
      bound: { atLeast: 0.8 },
      unit: "×",
    },
    {
      target: "Kafka gateway over TCP, of the minimal pipe (64 KB batches)",
      measured: ratio("Kafka gateway over TCP", "minimal pipe over TCP"),
      bound: { atLeast: 0.8 },
      unit: "×",
    },
    {
      target: "Single records of 1 KB over one WebSocket at /kafka, per second",
      measured: single?.rates.get("Kafka gateway over WebSocket"),
      bound: { atLeast: 3_000 },
    },
  ];
}

function shapesOf(bench: Bench): Shape[] {
  const sizes = [KiB, 16 * KiB, TARGET_BATCH, 1024 * KiB];
  const many = bench.pick({ quick: [4], normal: [4, 16], full: [4, 16] });
  const single = sizes.map((batchBytes) => ({ batchBytes, partitions: 1 }));
  const manySizes = bench.pick({ quick: [TARGET_BATCH], normal: [KiB, TARGET_BATCH], full: sizes });
  return [
    ...single,
    ...many.flatMap((partitions) => manySizes.map((batchBytes) => ({ batchBytes, partitions }))),
  ];
}

function callersOf({ batchBytes, partitions }: Shape): number {
  const callers = Math.min(CALLERS.most, Math.max(CALLERS.least, BYTES_IN_FLIGHT / batchBytes));
  return Math.max(1, Math.round(callers / partitions));
}

function shapeText({ batchBytes, partitions }: Shape): string {
  const size = batchBytes >= 1024 * KiB ? `${batchBytes / KiB / KiB} MB` : `${batchBytes / KiB} KB`;
  return `batches of ${size}, ${partitions} partition${partitions === 1 ? "" : "s"}`;
}

// ── layers ───────────────────────────────────────────────────────────────────────────────────────────────────────────

function driveBare(path: string) {
  return async ({ bare }: Platforms, how: Drive, batch: Uint8Array): Promise<Driven> => {
    try {
      return await driveInside(bare, path, how, batch);
    } finally {
      await clearBare(bare, how);
    }
  };
}

async function drivePipe({ bare }: Platforms, how: Drive, batch: Uint8Array): Promise<Driven> {
  const clients = await many(
    how.partitions,
    async () => new FramedClient(await tcpChannel(bare.kafkaAddress)),
  );
  const frames = clients.map((_, partition) => pipeFrame(partition, batch));
  try {
    return await drive(how, async (partition) => clients[partition]?.request(frames[partition] ?? []));
  } finally {
    for (const client of clients) client.close();
    await clearBare(bare, how);
  }
}

async function drivePartitionLog({ edgelog }: Platforms, how: Drive, batch: Uint8Array): Promise<Driven> {
  return withTopic(edgelog, how.partitions, ({ id, version }) =>
    driveInside(edgelog, `/bench/rpc?topicId=${id}&topicVersion=${version}`, how, batch),
  );
}

/** One connection per partition: so many clients would not share one. */
function driveKafka(open: (platform: RunningPlatform) => Promise<Channel>) {
  return ({ edgelog }: Platforms, how: Drive, batch: Uint8Array): Promise<Driven> =>
    withTopic(edgelog, how.partitions, async ({ name }) => {
      const clients = await many(how.partitions, async () => new KafkaClient(await open(edgelog)));
      const frames = clients.map((_, partition) => KafkaClient.produceFrame(name, partition, batch));
      try {
        return await drive(how, async (partition) => clients[partition]?.produce(frames[partition] ?? []));
      } finally {
        for (const client of clients) client.close();
      }
    });
}

function driveHttp({ edgelog }: Platforms, how: Drive, batch: Uint8Array): Promise<Driven> {
  return withTopic(edgelog, how.partitions, async ({ name }) => {
    const idle = await many(how.partitions, () => many(how.callers, () => HttpConnection.open(edgelog.url)));
    const requests = idle.map((_, partition) =>
      HttpConnection.post(
        `/v1/topics/${name}/records?partition=${partition}`,
        "application/vnd.kafka.recordbatch",
        batch,
      ),
    );
    try {
      return await drive(how, async (partition) => {
        const connection = idle[partition]?.pop();
        await connection?.request(requests[partition] ?? new Uint8Array());
        if (connection !== undefined) idle[partition]?.push(connection);
      });
    } finally {
      for (const connection of idle.flat()) connection.close();
    }
  });
}

async function driveInside(
  { url }: RunningPlatform,
  path: string,
  { partitions, callers, warmUpMs, ms }: Drive,
  batch: Uint8Array,
): Promise<Driven> {
  const to = new URL(path, url);
  for (const [name, value] of Object.entries({ partitions, callers, warmUpMs, ms })) {
    to.searchParams.set(name, String(value));
  }
  return answerOf(await fetch(to, { method: "POST", body: new Uint8Array(batch) }));
}

/** See workers/pipe.ts. */
function pipeFrame(partition: number, batch: Uint8Array): readonly Uint8Array[] {
  const head = new DataView(new ArrayBuffer(8));
  head.setInt32(0, 4 + batch.length);
  head.setInt32(4, partition);
  return [new Uint8Array(head.buffer), batch];
}

async function clearBare({ url }: RunningPlatform, { partitions }: Drive): Promise<void> {
  await answerOf(await fetch(`${url}/bench/clear?partitions=${partitions}`));
}

let topics = 0;

async function withTopic<T>(
  platform: RunningPlatform,
  partitions: number,
  run: (topic: { name: string; id: string; version: number }) => Promise<T>,
): Promise<T> {
  const name = `ceiling-${topics++}`;
  const { id, version } = await createTopic(platform, name, partitions, WITHOUT_TIERING);
  try {
    return await run({ name, id, version });
  } finally {
    await deleteTopic(platform, name);
  }
}

function many<T>(count: number, make: () => Promise<T>): Promise<T[]> {
  return Promise.all(Array.from({ length: count }, make));
}
