/** What the demo did, for people. */

import { columns } from "../../src/cli/output.ts";
import type { PartitionDescription } from "../../src/client/index.ts";
import type { Witness } from "./witness.ts";

export interface Run {
  readonly sent: Witness;
  readonly live: Witness;
  readonly replayed: Witness;
  readonly produceMs: number;
  readonly replayMs: number;
  /** The partitions when the second consumer began. */
  readonly before: readonly PartitionDescription[];
  readonly after: readonly PartitionDescription[];
}

/** @returns whether everything that was sent was received, in order */
export function printSummary(run: Run): boolean {
  const { sent, live, replayed, before, after } = run;
  const lines = [
    `${count(sent.records)} flights from ${sent.keys} airports, ${megabytes(sent.bytes)} of keys and values`,
    "",
    columns([
      ["produced", rate(sent, run.produceMs), "idempotent, each batch durable before it is acknowledged"],
      [
        "replayed",
        rate(replayed, run.replayMs),
        "over WebSocket from offset 0, while the second half was produced",
      ],
    ]),
    "",
    columns([
      ["partition", "records", "in R2", "in SQLite", "read from R2"],
      ...after.map((partition, i) => [
        String(partition.partition),
        count(partition.highWatermark - partition.logStartOffset),
        segments(partition.remoteSegments, partition.remoteBytes),
        segments(partition.localSegments, partition.localBytes),
        `at least ${count(before[i]?.earliestLocalOffset ?? 0)} records`,
      ]),
    ]),
    "",
    ...[verdict("live", live, sent), verdict("replayed", replayed, sent)],
    `sha256 of all keys: ${sent.digest()}`,
  ];
  process.stdout.write(`${lines.join("\n")}\n`);
  return live.difference(sent) === undefined && replayed.difference(sent) === undefined;
}

function verdict(name: string, received: Witness, sent: Witness): string {
  const difference = received.difference(sent);
  if (difference !== undefined) return `FAILED, ${name}: ${difference}`;
  return `${name}: complete, in order for each of ${sent.keys} keys, offsets without gap or repeat`;
}

function segments(number: number, bytes: number): string {
  return `${number} segment${number === 1 ? "" : "s"}, ${megabytes(bytes)}`;
}

function rate({ records, bytes }: Witness, ms: number): string {
  const seconds = ms / 1000;
  return `${count(Math.round(records / seconds))} records/s, ${megabytes(bytes / seconds)}/s`;
}

function megabytes(bytes: number): string {
  return `${(bytes / 1e6).toFixed(1)} MB`;
}

function count(value: number): string {
  return value.toLocaleString("en");
}
