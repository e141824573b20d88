import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { encodeBatch } from "../../src/log/batch.ts";
import { batchHeaders, stampBatch } from "../../src/log/batch-header.ts";
import { committedBatches, withAborted } from "../../src/log/committed-batches.ts";
import { encodeMarker } from "../../src/log/control-batch.ts";
import { concatBytes } from "../../src/model/bytes.ts";

/** A log as producers make it: each step is a batch or a marker of one of them, and takes one offset. */
type Step =
  | { readonly producerId: number; readonly ends?: "abort" | "commit" }
  | { readonly producerId: -1; readonly ends?: undefined };

interface Ended {
  readonly producerId: number;
  readonly firstOffset: number;
  readonly lastOffset: number;
}

function logOf(steps: readonly Step[]) {
  const batches: Uint8Array[] = [];
  const aborted: Ended[] = [];
  const committed: number[] = [];
  const open = new Map<number, number[]>();
  for (const { producerId, ends } of steps) {
    const offset = batches.length;
    const written = open.get(producerId) ?? [];
    if (ends !== undefined) {
      batches.push(encodeMarker({ producerId, producerEpoch: 0, type: ends, timestampMs: 1 }));
      const [firstOffset] = written;
      if (ends === "commit") committed.push(...written);
      else if (firstOffset !== undefined) aborted.push({ producerId, firstOffset, lastOffset: offset });
      open.delete(producerId);
    } else {
      batches.push(
        encodeBatch([{ timestamp: 1, key: null, value: null }], {
          producerId,
          producerEpoch: producerId < 0 ? -1 : 0,
          baseSequence: producerId < 0 ? -1 : offset,
          transactional: producerId >= 0,
        }),
      );
      if (producerId < 0) committed.push(offset);
      else open.set(producerId, [...written, offset]);
    }
    const batch = batches.at(-1);
    if (batch !== undefined) stampBatch(batch, offset, 0);
  }
  const stable = Math.min(batches.length, ...[...open.values()].flat());
  return { batches, aborted, committed: committed.sort((a, b) => a - b), stable };
}

const producerId = fc.integer({ min: 1, max: 3 });
const steps: fc.Arbitrary<Step[]> = fc.array(
  fc.oneof(
    fc.record({ producerId }),
    fc.record({ producerId, ends: fc.constantFrom("abort" as const, "commit" as const) }),
    fc.constant({ producerId: -1 as const }),
  ),
  { maxLength: 40 },
);

const offsetsIn = (batches: Uint8Array) => [...batchHeaders(batches)].map(({ header }) => header.baseOffset);

describe("what a read_committed reader sees", () => {
  test("is what was committed in the part of the log that it has read, and nothing else", () => {
    fc.assert(
      fc.property(steps, fc.nat(40), fc.nat(40), (log, one, other) => {
        const { batches, aborted, committed, stable } = logOf(log);
        const [from, to] = [Math.min(one, other, stable), Math.min(Math.max(one, other), stable)];
        const told = aborted
          .filter(({ firstOffset, lastOffset }) => lastOffset >= from && firstOffset < to)
          .sort((a, b) => a.firstOffset - b.firstOffset);
        const seen = committedBatches(concatBytes(batches.slice(from, to)), told);
        expect(offsetsIn(seen)).toEqual(committed.filter((offset) => offset >= from && offset < to));
      }),
      { numRuns: 500 },
    );
  });

  test("is the very same bytes where there is nothing to leave out", () => {
    const { batches } = logOf([{ producerId: -1 }, { producerId: 1 }]);
    const bytes = concatBytes(batches);
    expect(committedBatches(bytes, [])).toBe(bytes);
  });
});

test("what two reads were told of aborted transactions is told once, by first offset", () => {
  const [first, second, third] = [3, 5, 9].map((firstOffset) => ({ producerId: firstOffset, firstOffset }));
  expect(withAborted([first, third] as never, [first, second] as never)).toEqual([first, second, third]);
  expect(withAborted(undefined, [second] as never)).toEqual([second]);
  expect(withAborted([first] as never, undefined)).toEqual([first]);
  expect(withAborted(undefined, undefined)).toBeUndefined();
});
