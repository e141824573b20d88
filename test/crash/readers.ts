/** Whoever reads: followers that go on where they were, and the reading of a whole log. */

import type { Answer, Api, LogPart } from "./api.ts";
import type { PartitionHistory, SeenRecord, Snapshot } from "./history.ts";
import { KafkaClient } from "./kafka-client.ts";
import { readBatches } from "./records.ts";
import type { LiveTopic, World } from "./world.ts";

const READ_BYTES_MAX = 40_000;
const WAIT_MS_MAX = 300;
/** R2 fails half the time at most: nobody is refused as often by chance. */
const REFUSALS_MAX = 100;

/** Reads a partition as it grows, through every restart, until the topic ends or the run is over. */
export async function follow(
  world: World,
  topic: LiveTopic,
  partition: number,
  isOver: () => boolean,
): Promise<void> {
  const history = historyOf(topic, partition);
  const random = world.random.fork();
  const kafka = new KafkaClient();
  for (let position = 0; ; ) {
    const api = await world.up();
    if (topic.ended || isOver()) return kafka.close();
    const asked = history.ends();
    const options = {
      maxBytes: random.integer(1, READ_BYTES_MAX),
      maxWaitMs: random.integer(0, WAIT_MS_MAX),
    };
    const reader = random.chance(0.5) ? kafka : undefined;
    const answer =
      reader === undefined
        ? await api.read(topic.name, partition, position, options)
        : await reader.read(api, topic.name, partition, position, options);
    if (topic.ended) return kafka.close();
    const by = world.by("a follower");
    if (answer.kind === "ok") {
      const { batches, logStart, logEnd } = answer.value;
      const { records, nextOffset } = readBatches(batches, position);
      world.report(history.bounds(logStart, logEnd, by, asked));
      world.report(history.followed(position, records, by));
      world.count(`records followed over ${reader === undefined ? "HTTP" : "Kafka"}`, records.length);
      position = nextOffset;
      continue;
    }
    const logStart = beyondLogStart(answer, position);
    if (logStart === undefined)
      await world.refused(answer, `${by}: offset ${position} of ${history.partition}`, { mayReadR2: true });
    else position = logStart;
  }
}

/**
 * Reads the whole log and holds it against its history. False if the platform went away, or the topic, before that was
 * done.
 */
export async function verifyWhole(
  world: World,
  api: Api,
  topic: LiveTopic,
  partition: number,
): Promise<boolean> {
  const history = historyOf(topic, partition);
  const since = history.mark();
  const asked = history.ends();
  const read = await readWhole(world, api, topic, partition);
  if (read === undefined || topic.ended) return false;
  const by = world.by("the check");
  world.report(history.bounds(read.logStart, read.logEnd, by, asked));
  world.report(history.whole(read, since, by));
  world.count("records verified", read.records.length);
  world.count("logs verified");
  return true;
}

async function readWhole(
  world: World,
  api: Api,
  topic: LiveTopic,
  partition: number,
): Promise<Snapshot | undefined> {
  const ask = <T>(what: string, call: () => Promise<Answer<T>>) => insist(world, topic, what, call);
  const found = await ask("the log start", () => api.offset(topic.name, partition, "earliest"));
  const end = await ask("the log end", () => api.offset(topic.name, partition, "latest"));
  if (found === undefined || end === undefined) return undefined;
  let logStart = found;
  let position = found;
  let records: SeenRecord[] = [];
  let bytes = 0;
  while (position < end) {
    let newStart: number | undefined;
    const part = await ask(`offset ${position}`, async (): Promise<Answer<LogPart | undefined>> => {
      const answer = await api.read(topic.name, partition, position, { maxBytes: READ_BYTES_MAX });
      newStart = beyondLogStart(answer, position);
      return newStart === undefined ? answer : { kind: "ok", value: undefined };
    });
    if (newStart !== undefined) {
      // Retention has overtaken the reading: it begins again where the log does now.
      logStart = newStart;
      position = newStart;
      records = [];
      bytes = 0;
      continue;
    }
    if (part === undefined) return undefined;
    const read = readBatches(part.batches, position);
    if (read.nextOffset === position) {
      world.violated(
        `${historyOf(topic, partition).partition}: nothing was read at ${position}, but the log ends at ${end}`,
      );
      return undefined;
    }
    records.push(...read.records);
    bytes += read.bytes;
    position = read.nextOffset;
  }
  return { logStart, logEnd: Math.max(position, end), records, bytes, takenAtMs: Date.now() };
}

/** Asks until there is an answer; undefined if the platform went away or the topic ended. */
async function insist<T>(
  world: World,
  topic: LiveTopic,
  what: string,
  call: () => Promise<Answer<T>>,
): Promise<T | undefined> {
  for (let refusals = 1; ; refusals++) {
    const answer = await call();
    if (answer.kind === "ok") return answer.value;
    if (answer.kind === "lost" || topic.ended) return undefined;
    const mayReadR2 = refusals < REFUSALS_MAX;
    await world.refused(answer, `${what} of ${topic.name}`, { mayReadR2 });
    if (!answer.retriable || !mayReadR2) return undefined;
  }
}

/** Where to read on if the position has left the log at its start; undefined if that is not what the answer says. */
function beyondLogStart(answer: Answer<unknown>, position: number): number | undefined {
  if (answer.kind !== "refused" || answer.code !== "OFFSET_OUT_OF_RANGE") return undefined;
  const logStart = Number(/"log_start_offset":(\d+)/.exec(answer.text)?.[1]);
  return logStart > position ? logStart : undefined;
}

function historyOf(topic: LiveTopic, partition: number): PartitionHistory {
  const history = topic.histories[partition];
  if (history === undefined) throw new RangeError(`${topic.name} has no partition ${partition}`);
  return history;
}
