/** A member's events, as test/churn/events.ts has them, written at once and by a call that returns when they are. */

import { writeSync } from "node:fs";

/** What a member is started with. */
export interface MemberArguments {
  readonly bootstrap: string;
  readonly topic: string;
  readonly group: string;
  readonly protocol: string;
}

export function memberArguments(): MemberArguments {
  const [bootstrap = "", topic = "", group = "", protocol = ""] = process.argv.slice(2);
  return { bootstrap, topic, group, protocol };
}

const SESSION_TIMEOUT_MS = 6_000;
/** For members that say it themselves; those of KIP-848 are told by the cluster. */
export const TIMES = {
  sessionTimeoutMs: SESSION_TIMEOUT_MS,
  heartbeatIntervalMs: 1_000,
  rebalanceTimeoutMs: 20_000,
  fetchWaitMs: 250,
} as const;

export class Report {
  #ownership = 0;
  readonly #ownerships = new Map<number, number>();
  readonly #write: (line: string) => void;

  constructor(write: (line: string) => void = writeToStdout) {
    this.#write = write;
  }

  /** Of every partition that it has. */
  get owned(): number[] {
    return [...this.#ownerships.keys()];
  }

  ownershipOf(partition: number): number | undefined {
    return this.#ownerships.get(partition);
  }

  assigned(partitions: readonly number[], ownership = ++this.#ownership): void {
    for (const partition of partitions) this.#ownerships.set(partition, ownership);
    this.#say("assigned", ownership, partitions.join());
  }

  revoked(partitions: readonly number[]): void {
    this.#gone("revoked", partitions);
  }

  lost(partitions: readonly number[]): void {
    this.#gone("lost", partitions);
  }

  /** Consecutive records of one partition. `sequences` are what they contain: each must be its record's offset. */
  processed(partition: number, first: number, sequences: readonly string[], ownership?: number): void {
    for (const [index, sequence] of sequences.entries()) {
      if (Number.parseInt(sequence, 10) === first + index) continue;
      this.wrong(`partition ${partition} has ${JSON.stringify(sequence)} at ${first + index}`);
    }
    const of = ownership ?? this.#ownerships.get(partition) ?? -1;
    this.#say("processed", of, partition, first, first + sequences.length - 1);
  }

  committed(offsets: readonly (readonly [partition: number, offset: number | string | bigint])[]): void {
    this.#say("committed", offsets.map(([partition, offset]) => `${partition}:${offset}`).join());
  }

  wrong(text: string): void {
    this.#say("wrong", oneLine(text));
  }

  note(text: string): void {
    this.#say("note", oneLine(text));
  }

  #gone(kind: string, partitions: readonly number[]): void {
    if (partitions.length === 0) return;
    for (const partition of partitions) this.#ownerships.delete(partition);
    this.#say(kind, partitions.join());
  }

  #say(kind: string, ...fields: readonly (string | number)[]): void {
    this.#write(`${[kind, Date.now(), ...fields].join(" ")}\n`);
  }
}

/** Not process.stdout, which would keep lines back that a killed process has said. */
function writeToStdout(line: string): void {
  writeSync(1, line);
}

function oneLine(text: string): string {
  return text.replaceAll(/\s+/g, " ").slice(0, 1_000);
}

/** Runs it at the first SIGTERM, then ends the process. */
export function onStop(leave: () => Promise<unknown>): void {
  process.once("SIGTERM", () => {
    void leave().then(
      () => process.exit(0),
      () => process.exit(1),
    );
  });
}
