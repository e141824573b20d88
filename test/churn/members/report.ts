/** A member's events, as test/churn/events.ts has them. */

export class Report {
  #ownership = 0;
  readonly #ownerships = new Map<number, number>();
  readonly #write: (line: string) => void;

  /** `write` is given whole lines. */
  constructor(write: (line: string) => void) {
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

function oneLine(text: string): string {
  return text.replaceAll(/\s+/g, " ").slice(0, 1_000);
}
