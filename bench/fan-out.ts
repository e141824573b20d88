/**
 * One record to many WebSocket subscribers of one partition, again and again, each round when the one before it has
 * reached everybody; beside an object that inserts the same bytes and sends them to as many hibernating sockets, and does
 * nothing else. The client is the same.
 */

import { Latencies, median } from "./harness/latencies.ts";
import { answerOf, createTopic, type RunningPlatform, withPlatform } from "./harness/platforms.ts";
import { cpuMs, residentMiB } from "./harness/process.ts";
import type { Answer, Bench, Question, TargetResult } from "./harness/question.ts";
import type { Cell, Table } from "./harness/table.ts";
import { batchOfBytes } from "./load/batches.ts";
import { tcpChannel } from "./load/channel.ts";
import { KafkaClient } from "./load/kafka.ts";
import { ListeningSocket } from "./load/web-socket.ts";

const RECORD_BYTES = 1_024;
const ROUND_MS_MAX = 30_000;
const OPENING_AT_ONCE = 50;
const TARGET_SOCKETS = [1_000, 8_000];
const BINARY_SUBPROTOCOL = "edgelog.v1.binary";
/** What a subscriber has that does not say. */
const CREDIT_BYTES = 1024 * 1024;

export const fanOut: Question = {
  name: "fan-out",
  title: "One partition, many WebSocket subscribers",
  answer: (bench) =>
    withPlatform("bare", (bare) => withPlatform("edgelog", (edgelog) => measureAll(bench, bare, edgelog))),
};

/** Who is measured: how to subscribe, and how to send to all who do. */
interface Sender {
  readonly name: string;
  readonly platform: RunningPlatform;
  readonly path: string;
  readonly subprotocol: string | undefined;
  /** What a frame costs the client in credit; 0: there is no such thing. */
  readonly creditPerFrame: number;
  send(): Promise<unknown>;
}

interface Figures {
  readonly deliveriesPerSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly cpuMicros: number;
}

async function measureAll(bench: Bench, bare: RunningPlatform, edgelog: RunningPlatform): Promise<Answer> {
  const counts = bench.pick({
    quick: [1, 100, 1_000],
    normal: [1, 100, 1_000, 8_000],
    full: [1, 100, 1_000, 8_000],
  });
  const repeats = bench.pick({ quick: 1, normal: 3, full: 5 });
  const batch = batchOfBytes(RECORD_BYTES);
  await createTopic(edgelog, "fan-out", 1);
  const producer = new KafkaClient(await tcpChannel(edgelog.kafkaAddress));
  const frame = KafkaClient.produceFrame("fan-out", 0, batch);
  await producer.produce(frame);
  const senders: Sender[] = [
    {
      name: "bare loop",
      platform: bare,
      path: "/bench/socket",
      subprotocol: undefined,
      creditPerFrame: 0,
      send: async () =>
        answerOf(await fetch(`${bare.url}/bench/send`, { method: "POST", body: new Uint8Array(batch) })),
    },
    {
      name: "Edgelog",
      platform: edgelog,
      path: `/v1/topics/fan-out/subscribe?partition=0&offset=latest`,
      subprotocol: BINARY_SUBPROTOCOL,
      creditPerFrame: batch.length,
      send: () => producer.produce(frame),
    },
  ];
  const tables: Table[] = [];
  const targets: TargetResult[] = [];
  for (const [index, count] of counts.entries()) {
    bench.progress(`opening ${count} sockets`, index / counts.length);
    const audiences: Audience[] = [];
    for (const sender of senders) audiences.push(await Audience.gather(sender, count));
    const found = senders.map((): Figures[] => []);
    for (let repeat = 0; repeat < repeats; repeat++) {
      for (const [at, audience] of audiences.entries()) {
        bench.progress(`${count} sockets: ${senders[at]?.name}`, (index + repeat / repeats) / counts.length);
        found[at]?.push(await audience.measure(roundsFor(bench, count)));
      }
    }
    const figures = found.map(medianOf);
    const loop = figures[0]?.deliveriesPerSecond ?? Number.NaN;
    tables.push({
      title: `${count} sockets`,
      columns: [
        "sender",
        { name: "deliveries/s", digits: 0 },
        "p50 ms",
        "p99 ms",
        "CPU µs per delivery",
        "KiB per socket",
        { name: "× bare loop", digits: 2 },
      ],
      rows: figures.map((one, at): Cell[] => [
        senders[at]?.name,
        one.deliveriesPerSecond,
        one.p50Ms,
        one.p99Ms,
        one.cpuMicros,
        audiences[at]?.kiBPerSocket,
        one.deliveriesPerSecond / loop,
      ]),
    });
    if (TARGET_SOCKETS.includes(count)) {
      targets.push({
        target: `${count} subscribers on one partition, of the bare loop's rate`,
        measured: (figures[1]?.deliveriesPerSecond ?? Number.NaN) / loop,
        bound: { atLeast: 0.8 },
        unit: "×",
      });
    }
    for (const audience of audiences) audience.leave();
  }
  producer.close();
  return { tables, targets, notes: NOTES };
}

const NOTES = [
  `One record of ${RECORD_BYTES} bytes per round, one batch. A delivery's time counts from when the producer sends until the client has the frame; the client, one Node process, takes part of it.`,
];

function roundsFor(bench: Bench, count: number): number {
  const deliveries = bench.pick({ quick: 5_000, normal: 40_000, full: 200_000 });
  return Math.max(5, Math.min(300, Math.round(deliveries / count)));
}

/** The sockets that listen to one sender. */
class Audience {
  readonly #sender: Sender;
  readonly #sockets: ListeningSocket[] = [];
  #heard: () => void = () => undefined;
  kiBPerSocket = Number.NaN;

  static async gather(sender: Sender, count: number): Promise<Audience> {
    const audience = new Audience(sender);
    const before = await residentMiB(sender.platform.workerdPid);
    let left = count;
    const open = async () => {
      while (left-- > 0) {
        audience.#sockets.push(await audience.#open());
      }
    };
    await Promise.all(Array.from({ length: OPENING_AT_ONCE }, open));
    const after = await residentMiB(sender.platform.workerdPid);
    audience.kiBPerSocket = ((after - before) * 1_024) / count;
    return audience;
  }

  private constructor(sender: Sender) {
    this.#sender = sender;
  }

  /** Gives credit back as the SDK does: when half of it is used, or when the partition asks for it. */
  async #open(): Promise<ListeningSocket> {
    const { platform, path, subprotocol, creditPerFrame } = this.#sender;
    let owed = 0;
    let isDue = false;
    const credit = () => {
      if (owed === 0) return;
      socket.send(JSON.stringify({ type: "credit", bytes: owed }));
      owed = 0;
      isDue = false;
    };
    const socket = await ListeningSocket.open(platform.url, path, subprotocol, {
      binary: () => {
        owed += creditPerFrame;
        if (isDue || owed >= CREDIT_BYTES / 2) credit();
        this.#heard();
      },
      text: (text) => {
        if (!text.includes("credit_due")) return;
        isDue = true;
        credit();
      },
    });
    return socket;
  }

  async measure(rounds: number): Promise<Figures> {
    await this.#round(undefined);
    const latencies = new Latencies();
    const { workerdPid } = this.#sender.platform;
    const cpuBefore = await cpuMs(workerdPid);
    const beginMs = performance.now();
    for (let round = 0; round < rounds; round++) await this.#round(latencies);
    const seconds = (performance.now() - beginMs) / 1_000;
    const deliveries = rounds * this.#sockets.length;
    return {
      deliveriesPerSecond: deliveries / seconds,
      p50Ms: latencies.quantile(0.5),
      p99Ms: latencies.quantile(0.99),
      cpuMicros: (((await cpuMs(workerdPid)) - cpuBefore) * 1_000) / deliveries,
    };
  }

  leave(): void {
    for (const socket of this.#sockets) socket.close();
  }

  async #round(latencies: Latencies | undefined): Promise<void> {
    const all = Promise.withResolvers<void>();
    const sentMs = performance.now();
    let left = this.#sockets.length;
    this.#heard = () => {
      latencies?.add(performance.now() - sentMs);
      left--;
      if (left === 0) all.resolve();
    };
    const late = setTimeout(() => {
      all.reject(
        new Error(`${left} of ${this.#sockets.length} sockets were not served within ${ROUND_MS_MAX} ms`),
      );
    }, ROUND_MS_MAX);
    await Promise.all([this.#sender.send(), all.promise]).finally(() => clearTimeout(late));
  }
}

function medianOf(figures: readonly Figures[]): Figures {
  const of = (name: keyof Figures) => median(figures.map((one) => one[name]));
  return {
    deliveriesPerSecond: of("deliveriesPerSecond"),
    p50Ms: of("p50Ms"),
    p99Ms: of("p99Ms"),
    cpuMicros: of("cpuMicros"),
  };
}
