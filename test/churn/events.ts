/**
 * What a member says of itself: a line per event, appended to a file of its own, so that nothing that it has said is lost
 * when it is killed. `<kind> <ms since 1970> <ownership> …`; what is said of partitions is a list with commas.
 *
 * An ownership is a number of the member's own choice that it has never used for the same partition before: the group's
 * generation, or a count of assignments. A record belongs to the ownership under which the client delivered it.
 */

import { open, readFile } from "node:fs/promises";

/** Whoever has been assigned something has said so this early. */
const HEAD_BYTES = 65_536;

export type MemberEvent =
  /** These partitions are its own from now on, besides those that already were. */
  | {
      readonly kind: "assigned";
      readonly ms: number;
      readonly ownership: number;
      readonly partitions: readonly number[];
    }
  /** These are no longer: given up (`revoked`), or found to be another's already (`lost`). */
  | { readonly kind: "revoked" | "lost"; readonly ms: number; readonly partitions: readonly number[] }
  /** Records first..last of a partition are processed. */
  | {
      readonly kind: "processed";
      readonly ms: number;
      readonly ownership: number;
      readonly partition: number;
      readonly first: number;
      readonly last: number;
    }
  /** The coordinator has acknowledged these offsets. */
  | {
      readonly kind: "committed";
      readonly ms: number;
      readonly offsets: readonly (readonly [number, number])[];
    }
  /** A record that is not what it must be. */
  | { readonly kind: "wrong"; readonly ms: number; readonly text: string }
  /** Told, and no fault by itself. */
  | { readonly kind: "note"; readonly ms: number; readonly text: string };

/** Of the member that says them to `<path>.log`. */
export async function readEvents(path: string): Promise<MemberEvent[]> {
  return parseEvents(await readFile(`${path}.log`, "utf8"));
}

/** Whether it has been assigned something by now. */
export async function hasAssigned(path: string): Promise<boolean> {
  const file = await open(`${path}.log`);
  try {
    const { buffer, bytesRead } = await file.read({ buffer: Buffer.alloc(HEAD_BYTES) });
    const events = parseEvents(buffer.toString("utf8", 0, bytesRead));
    return events.some((event) => event.kind === "assigned" && event.partitions.length > 0);
  } finally {
    await file.close();
  }
}

/** The last line may be torn off; it is left out. */
export function parseEvents(text: string): MemberEvent[] {
  const lines = text.split("\n");
  return lines.slice(0, -1).map(parseEvent);
}

function parseEvent(line: string): MemberEvent {
  const [kind = "", at, ...rest] = line.split(" ");
  const ms = Number(at);
  const [first = "", second = "", third, fourth] = rest;
  switch (kind) {
    case "assigned":
      return { kind, ms, ownership: Number(first), partitions: numbers(second) };
    case "revoked":
    case "lost":
      return { kind, ms, partitions: numbers(first) };
    case "processed":
      return {
        kind,
        ms,
        ownership: Number(first),
        partition: Number(second),
        first: Number(third),
        last: Number(fourth),
      };
    case "committed":
      return { kind, ms, offsets: first.split(",").filter(Boolean).map(partitionAndOffset) };
    case "wrong":
    case "note":
      return { kind, ms, text: rest.join(" ") };
    default:
      return { kind: "wrong", ms: 0, text: `this line is no event: ${line.slice(0, 200)}` };
  }
}

function numbers(list: string): number[] {
  return list.split(",").filter(Boolean).map(Number);
}

function partitionAndOffset(text: string): readonly [number, number] {
  const [partition, offset] = text.split(":").map(Number);
  return [partition ?? Number.NaN, offset ?? Number.NaN];
}
