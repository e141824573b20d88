/** Closed-loop load: callers that each wait for their answer. Used by clients, and by Workers for load from inside. */

export interface Drive {
  readonly partitions: number;
  /** Appends that are under way at once, per partition. */
  readonly callers: number;
  readonly warmUpMs: number;
  readonly ms: number;
}

export interface Driven {
  /** Answered within the time. */
  readonly appends: number;
  /** And those of the warm-up, and the last ones. */
  readonly allAppends: number;
  readonly ms: number;
}

export function driveOf({ searchParams }: URL): Drive {
  const number = (name: string) => Number(searchParams.get(name));
  return {
    partitions: number("partitions"),
    callers: number("callers"),
    warmUpMs: number("warmUpMs"),
    ms: number("ms"),
  };
}

/** Each caller appends again as soon as its last append is answered; counted is what is answered within the time. */
export async function drive(
  { partitions, callers, warmUpMs, ms }: Drive,
  append: (partition: number) => Promise<unknown>,
): Promise<Driven> {
  const beginMs = Date.now() + warmUpMs;
  const endMs = beginMs + ms;
  let appends = 0;
  let allAppends = 0;
  const caller = async (partition: number) => {
    for (;;) {
      await append(partition);
      const nowMs = Date.now();
      if (nowMs >= beginMs && nowMs <= endMs) appends++;
      allAppends++;
      if (nowMs >= endMs) return;
    }
  };
  const all = Array.from({ length: partitions * callers }, (_, index) => caller(index % partitions));
  await Promise.all(all);
  return { appends, allAppends, ms };
}
