/**
 * `npm run demo`: 231,083 flights through a whole cluster on this machine. They are produced in order of departure, keyed
 * by the airport they left from; one consumer follows live, another begins at offset 0 when the first segments have left
 * SQLite for R2, and catches up while the rest is being produced. Both must end up with all of it, in order.
 */

import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { parseArgs } from "node:util";
import { startPlatform } from "../../src/cli/platform.ts";
import { startProgress } from "../../src/cli/progress.ts";
import { nextSignal } from "../../src/cli/signals.ts";
import { Edgelog, type PartitionDescription } from "../../src/client/index.ts";
import { FLIGHTS, type Flight, readFlights } from "./flights.ts";
import { printSummary, type Run } from "./summary.ts";
import { Witness } from "./witness.ts";

const TOPIC = "flights";
const PARTITIONS = 4;
const ONLY_IN_R2_WAIT_MS = 60_000;

const { values } = parseArgs({ options: { keep: { type: "boolean", default: false } } });
const asked = nextSignal();
const dataDir = await mkdtemp(join(tmpdir(), "edgelog-demo-"));
const platform = await startPlatform({ port: 0, dataDir });
try {
  const run = await Promise.race([stream(new Edgelog({ url: platform.url })), asked]);
  if (typeof run === "string") {
    process.exitCode = 1;
  } else {
    process.exitCode = printSummary(run) ? 0 : 1;
    if (values.keep) {
      process.stdout.write(
        `\nStill there: npm run edgelog -- consume ${TOPIC} -o -10 --url ${platform.url}  (Ctrl-C ends)\n`,
      );
      await asked;
    }
  }
} finally {
  await platform.stop();
  await rm(dataDir, { recursive: true, force: true, maxRetries: 5 });
}
// Consumers that were interrupted would go on trying.
process.exit();

async function stream(client: Edgelog): Promise<Run> {
  await client.topics.create(TOPIC, {
    partitions: PARTITIONS,
    configs: { "segment.bytes": 1_048_576, "local.retention.ms": 100, "edgelog.local.drop.delay.ms": 100 },
  });
  const sent = new Witness();
  const live = new Witness();
  const replayed = new Witness();
  const progress = startProgress("Streaming", "records");
  const ticker = setInterval(() => {
    const done = sent.records + live.records + replayed.records;
    progress.update(done, done / (3 * FLIGHTS));
  }, 100);
  try {
    const following = consume(client, live);
    const first = await produce(client, 0, Math.floor(FLIGHTS / 2), sent);
    const before = await leftSqlite(client);
    const replay = consume(client, replayed);
    const second = await produce(client, Math.floor(FLIGHTS / 2), FLIGHTS, sent);
    const [, replayMs] = await Promise.all([following, replay]);
    const after = await Promise.all(partitions().map((each) => client.topics.describePartition(TOPIC, each)));
    return { sent, live, replayed, produceMs: first + second, replayMs, before, after };
  } finally {
    clearInterval(ticker);
    progress.stop();
  }
}

/** @returns how long it took, in ms, reading the file not counted */
async function produce(client: Edgelog, from: number, to: number, sent: Witness): Promise<number> {
  const departures = await readFlights(from, to);
  function* witnessed(): Generator<Flight, void, undefined> {
    for (const flight of departures) {
      sent.saw(flight.key, flight.value);
      yield flight;
    }
  }
  const startedMs = performance.now();
  await using producer = client.producer({ topic: TOPIC, batchSize: 262_144, lingerMs: 20 });
  await producer.sendAll(witnessed());
  return performance.now() - startedMs;
}

/** Reads from offset 0 until it has as many records as there are flights. @returns how long it took, in ms */
async function consume(client: Edgelog, received: Witness): Promise<number> {
  const startedMs = performance.now();
  for await (const record of client.consume(TOPIC, { from: "earliest" })) {
    received.saw(record.keyText() ?? "", record.text() ?? "");
    received.sawOffset(record.partition, record.offset);
    if (received.records === FLIGHTS) break;
  }
  return performance.now() - startedMs;
}

/** Waits until the first segment of each partition is nowhere but in R2. */
async function leftSqlite(client: Edgelog): Promise<PartitionDescription[]> {
  const deadlineMs = Date.now() + ONLY_IN_R2_WAIT_MS;
  for (;;) {
    const described = await Promise.all(
      partitions().map((each) => client.topics.describePartition(TOPIC, each)),
    );
    if (described.every(({ earliestLocalOffset }) => earliestLocalOffset > 0)) return described;
    if (Date.now() > deadlineMs) throw new Error("no segment left SQLite for R2 in time");
    await delay(50);
  }
}

function partitions(): number[] {
  return Array.from({ length: PARTITIONS }, (_, partition) => partition);
}
