/**
 * What a month costs, from operations counted at the platform's own interfaces while records go through (workers/
 * counting.ts), not from arithmetic: per gigabyte, and for the reference month. One batch is under way at a time and every
 * consumer reads each batch by itself, so nothing is grouped and no read is shared: at the reference month's 0.4 MB/s that
 * is what happens, and it is the dearest case.
 */

import { setTimeout as delay } from "node:timers/promises";
import { Kafka, logLevel } from "kafkajs";
import { encodeBatch } from "../src/log/batch.ts";
import { batchHeaders } from "../src/log/batch-header.ts";
import { type Counts, difference, noCounts, sum, times } from "./billing/counts.ts";
import { CLOUDFLARE_SOURCES, cloudflareBill, MONTH, OTHERS, total } from "./billing/prices.ts";
import { answerOf, createTopic, type RunningPlatform, withPlatform } from "./harness/platforms.ts";
import { cpuMs } from "./harness/process.ts";
import type { Answer, Bench, Question, TargetResult } from "./harness/question.ts";
import type { Cell, Table } from "./harness/table.ts";
import { type Channel, tcpChannel, webSocketChannel } from "./load/channel.ts";
import { KafkaClient } from "./load/kafka.ts";
import { valuesOf } from "./load/values.ts";
import { ListeningSocket } from "./load/web-socket.ts";

const MB = 1e6;
const GB = 1e9;
const VALUE_BYTES = 1_000;
const MONTH_MS = MONTH.days * 24 * 3_600 * 1_000;
const BATCHES = [100, 1_000];
const BILL_DOLLARS_MAX = 25;
const CREDIT_BYTES = 1024 * 1024;
/** The log's whole life is in the counts: rolled, tiered, dropped and deleted. */
const SHORT_LIVED = { "file.delete.delay.ms": "0", "edgelog.local.drop.delay.ms": "0" };

export const bill: Question = {
  name: "bill",
  title: "The bill",
  answer: (bench) => withPlatform("counting", (platform) => measureAll(bench, platform)),
};

interface Run {
  readonly name: string;
  readonly records: number;
  readonly bytes: number;
  readonly counts: Counts;
  readonly cpuMs: number;
}

async function measureAll(bench: Bench, platform: RunningPlatform): Promise<Answer> {
  const bytes = bench.pick({ quick: 24, normal: 160, full: 1_000 }) * MB;
  const groupMs = bench.pick({ quick: 6_000, normal: 30_000, full: 120_000 });
  const runs: Run[] = [];
  for (const [index, records] of BATCHES.entries()) {
    bench.progress(`Kafka clients, batches of ${records}`, index * 0.2);
    runs.push(await countRun(platform, "Kafka clients over WebSocket", records, bytes, throughKafka));
    bench.progress(`HTTP and subscribers, batches of ${records}`, 0.4 + index * 0.2);
    runs.push(await countRun(platform, "HTTP producer, WebSocket subscribers", records, bytes, throughHttp));
  }
  bench.progress("three consumer groups", 0.8);
  const groups = await countGroups(platform, groupMs);
  const months = runs.map((run) => ({ run, lines: monthOf(run, groups) }));
  const targets: TargetResult[] = months
    .filter(({ run }) => run.records === 100)
    .map(({ run, lines }) => ({
      target: `The reference month, ${run.name}, batches of 100`,
      measured: total(lines),
      bound: { atMost: BILL_DOLLARS_MAX },
      unit: "$",
    }));
  return {
    tables: [
      countsTable(runs, bytes),
      groupsTable(groups),
      ...months.map(({ run, lines }) => billTable(run, lines)),
      othersTable(months.map(({ run, lines }) => ({ run, dollars: total(lines) }))),
    ],
    targets,
    notes: [
      `The reference month: ${MONTH.gigabytes} GB in as records of 1 KB, ${MONTH.consumers} consumers that read everything, ${MONTH.retentionDays} days kept. One partition; included quantities are taken off.`,
      "The partition is priced as awake for the whole month, whatever was counted; Worker CPU is all that workerd used for the run, clients' connections, storage and R2 included; R2 keeps everything for 7 of 30 days.",
      `Counted while ${bytes / MB} MB went through, with retention of a quarter of it, so that the counts have the deletion of segments as well.`,
      "Every call to a partition counts as a request of its own, also those that a busy Kafka connection makes on one RPC session, which are billed as one.",
      "The connection of a Kafka client is one Worker request. That Spectrum delivers TCP to a Worker has a price of its own; the figures are those of the WebSocket at /kafka.",
      `Prices: ${CLOUDFLARE_SOURCES.join("; ")}.`,
    ],
  };
}

// ── counting ─────────────────────────────────────────────────────────────────────────────────────────────────────────

/** Sends one batch after another, and resolves for each when all consumers have it. */
interface Traffic {
  pass(batch: Uint8Array): Promise<void>;
  end(): void;
}

async function countRun(
  platform: RunningPlatform,
  name: string,
  records: number,
  bytes: number,
  open: (platform: RunningPlatform, topic: string) => Promise<Traffic>,
): Promise<Run> {
  const topic = `bill-${records}-${open.name}`;
  await createTopic(platform, topic, 1, { ...SHORT_LIVED, "retention.bytes": String(Math.round(bytes / 4)) });
  const { producer_id: producerId } = await answerOf(
    await fetch(`${platform.url}/v1/producers`, { method: "POST" }),
  );
  const values = valuesOf(records, VALUE_BYTES);
  const traffic = await open(platform, topic);
  const batches = Math.ceil(bytes / records / VALUE_BYTES);
  let before: Counts | undefined;
  let cpuBefore = 0;
  for (let index = 0; index <= batches; index++) {
    const timestamp = Date.now();
    const producer = { producerId, producerEpoch: 0, baseSequence: index * records };
    const batch = encodeBatch(
      values.map((value) => ({ timestamp, key: null, value })),
      producer,
    );
    await traffic.pass(batch);
    if (index > 0) continue;
    // Connecting and opening the partition happen once, whatever goes through.
    before = await countsOf(platform);
    cpuBefore = await cpuMs(platform.workerdPid);
  }
  traffic.end();
  const counts = difference(await countsOf(platform), before ?? noCounts());
  const cpu = (await cpuMs(platform.workerdPid)) - cpuBefore;
  return { name, records, bytes: batches * records * VALUE_BYTES, counts, cpuMs: cpu };
}

async function throughKafka(platform: RunningPlatform, topic: string): Promise<Traffic> {
  const open = async (channel: Promise<Channel>) => new KafkaClient(await channel);
  const producer = await open(webSocketChannel(platform.url));
  const consumers = await Promise.all(
    Array.from({ length: MONTH.consumers }, () => open(webSocketChannel(platform.url))),
  );
  const offsets = consumers.map(() => 0);
  const read = async (client: KafkaClient, index: number, end: number) => {
    for (let offset = offsets[index] ?? 0; offset < end; ) {
      const { records } = await client.fetch(topic, 0, offset, { maxBytes: 2 * MB });
      for (const { header } of batchHeaders(records)) offset = header.nextOffset;
      offsets[index] = offset;
    }
  };
  return {
    async pass(batch) {
      const [first] = [...batchHeaders(batch)];
      const end = (offsets[0] ?? 0) + (first?.header.recordsCount ?? 0);
      // As a consumer does: the Fetch waits before there is anything.
      const reading = Promise.all(consumers.map((client, index) => read(client, index, end)));
      await producer.produce(KafkaClient.produceFrame(topic, 0, batch));
      await reading;
    },
    end() {
      for (const client of [producer, ...consumers]) client.close();
    },
  };
}

async function throughHttp(platform: RunningPlatform, topic: string): Promise<Traffic> {
  const url = `${platform.url}/v1/topics/${topic}/records?partition=0`;
  const headers = { "content-type": "application/vnd.kafka.recordbatch", prefer: "return=minimal" };
  let left = 0;
  let arrived = Promise.withResolvers<void>();
  let batchBytes = 0;
  const subscribers = await Promise.all(
    Array.from({ length: MONTH.consumers }, async () => {
      let owed = 0;
      const socket: ListeningSocket = await ListeningSocket.open(
        platform.url,
        `/v1/topics/${topic}/subscribe?partition=0&offset=earliest`,
        "edgelog.v1.binary",
        {
          binary() {
            owed += batchBytes;
            if (owed >= CREDIT_BYTES / 2) {
              socket.send(JSON.stringify({ type: "credit", bytes: owed }));
              owed = 0;
            }
            left--;
            if (left === 0) arrived.resolve();
          },
        },
      );
      return socket;
    }),
  );
  return {
    async pass(batch) {
      left = subscribers.length;
      batchBytes = batch.length;
      arrived = Promise.withResolvers();
      await answerOf(await fetch(url, { method: "POST", headers, body: new Uint8Array(batch) }));
      await arrived.promise;
    },
    end() {
      for (const socket of subscribers) socket.close();
    },
  };
}

/** What three groups of one member each cost by the clock: heartbeats and commits every five seconds, by kafkajs. */
async function countGroups(platform: RunningPlatform, ms: number): Promise<Counts> {
  const kafka = new Kafka({ brokers: [platform.kafkaAddress], logLevel: logLevel.NOTHING });
  const topic = "bill-groups";
  await createTopic(platform, topic, 1);
  const consumers = Array.from({ length: MONTH.consumers }, (_, index) =>
    kafka.consumer({ groupId: `bill-${index}` }),
  );
  const producer = new KafkaClient(await tcpChannel(platform.kafkaAddress));
  const frame = KafkaClient.produceFrame(
    topic,
    0,
    encodeBatch([{ timestamp: 0, key: null, value: new Uint8Array(1) }]),
  );
  const started = consumers.map(async (consumer) => {
    const joined = new Promise((resolve) => consumer.on(consumer.events.GROUP_JOIN, resolve));
    await consumer.connect();
    await consumer.subscribe({ topic, fromBeginning: true });
    await consumer.run({ autoCommitInterval: 5_000, eachMessage: async () => {} });
    await joined;
  });
  await Promise.all(started);
  const before = await countsOf(platform);
  const beginMs = performance.now();
  let records = 0;
  while (performance.now() - beginMs < ms) {
    await producer.produce(frame);
    records++;
    await delay(1_000);
  }
  const during = difference(await countsOf(platform), before);
  await Promise.all(consumers.map((consumer) => consumer.disconnect()));
  producer.close();
  // The records only give the consumers something to commit; their own cost is in the other runs.
  const perRecord = {
    ...times(during, 0),
    objectRequests: records * (1 + MONTH.consumers),
    rowsWritten: records,
  };
  return times(atLeastZero(difference(during, perRecord)), MONTH_MS / (performance.now() - beginMs));
}

function atLeastZero(counts: Counts): Counts {
  return {
    ...counts,
    objectRequests: Math.max(0, counts.objectRequests),
    rowsWritten: Math.max(0, counts.rowsWritten),
  };
}

async function countsOf({ url }: RunningPlatform): Promise<Counts> {
  return answerOf(await fetch(`${url}/bench/counts`));
}

// ── pricing ──────────────────────────────────────────────────────────────────────────────────────────────────────────

function monthOf({ bytes, counts, cpuMs: cpu }: Run, groups: Counts) {
  const perMonth = (MONTH.gigabytes * GB) / bytes;
  const month = sum(times(counts, perMonth), groups);
  return cloudflareBill(month, { awakeObjects: 1, workerCpuMs: cpu * perMonth, sqlGb: LOCAL_GB });
}

/** A partition keeps 64 MiB of uploaded segments and at most as much again that waits for its upload. */
const LOCAL_GB = 0.13;

function countsTable(runs: readonly Run[], bytes: number): Table {
  return {
    title: `Counted per GB in and ${MONTH.consumers} GB out (over ${bytes / MB} MB)`,
    columns: [
      "clients",
      "records per batch",
      "Worker requests",
      "object requests",
      "WebSocket messages in",
      "rows written",
      "rows read",
      "R2 class A",
      "R2 class B",
      "R2 MB put",
      "awake s",
      "workerd CPU s",
    ],
    rows: runs.map(({ name, records, bytes: passed, counts, cpuMs: cpu }): Cell[] => {
      const per = GB / passed;
      const whole = (count: number) => Math.round(count * per);
      return [
        name,
        records,
        whole(counts.workerRequests),
        whole(counts.objectRequests),
        whole(counts.webSocketMessages),
        whole(counts.rowsWritten),
        whole(counts.rowsRead),
        whole(counts.r2ClassA),
        whole(counts.r2ClassB),
        whole(counts.r2BytesPut / MB),
        (counts.awakeMs * per) / 1_000,
        (cpu * per) / 1_000,
      ];
    }),
  };
}

function groupsTable(groups: Counts): Table {
  return {
    title:
      "Three consumer groups of one member (kafkajs: heartbeats every 3 s, commits every 5 s), per month",
    columns: ["object requests", "rows written", "rows read", "awake hours"],
    rows: [
      [
        Math.round(groups.objectRequests),
        Math.round(groups.rowsWritten),
        Math.round(groups.rowsRead),
        groups.awakeMs / 3_600_000,
      ],
    ],
  };
}

function billTable({ name, records }: Run, lines: ReturnType<typeof cloudflareBill>): Table {
  return {
    title: `The reference month: ${name}, batches of ${records}`,
    columns: ["item", { name: "used", digits: 0 }, { name: "included", digits: 0 }, { name: "$", digits: 2 }],
    rows: [
      ...lines.map(({ item, used, included, dollars }): Cell[] => [item, used, included, dollars]),
      ["total", undefined, undefined, total(lines)],
    ],
  };
}

function othersTable(ours: readonly { readonly run: Run; readonly dollars: number }[]): Table {
  return {
    title: "The same month elsewhere, by published prices",
    columns: ["service", { name: "$", digits: 0 }, "how"],
    rows: [
      ...ours.map(({ run, dollars }): Cell[] => [
        `Edgelog, ${run.name}, batches of ${run.records}`,
        dollars,
        "above",
      ]),
      ...OTHERS.map(({ service, dollars, how }): Cell[] => [service, dollars, how]),
    ],
  };
}
