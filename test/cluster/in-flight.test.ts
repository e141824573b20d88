import { describe, expect, test } from "vitest";
import { InFlightBytes } from "../../src/cluster/in-flight.ts";
import {
  ANSWER_SHARE_BYTES_MIN,
  HTTP_IN_FLIGHT_MS_MAX,
  HTTP_STALLED_MS_MAX,
} from "../../src/model/limits.ts";

function inFlight(bytesMax = 100) {
  const clock = { ms: 0 };
  return { clock, bytes: new InFlightBytes(bytesMax, () => clock.ms) };
}

test("what is held by others is held against a request, until they release it", () => {
  const { bytes } = inFlight();
  const [first, second] = [bytes.hold(), bytes.hold()];
  first.grow(60);
  second.grow(40);
  expect(() => second.grow(1)).toThrow(/retry/);
  first.release();
  second.grow(1);
});

test("a request alone may be larger than the whole budget", () => {
  inFlight().bytes.hold().grow(101);
});

test("what nobody released is given up after a while", () => {
  const { bytes, clock } = inFlight();
  bytes.hold().grow(100);
  expect(() => bytes.hold().grow(1)).toThrow(/retry/);
  clock.ms = HTTP_IN_FLIGHT_MS_MAX;
  bytes.hold().grow(1);
});

describe("an answer's share", () => {
  const MiB = 1024 * 1024;

  test("is all that it wants while others hold little", () => {
    expect(inFlight(48 * MiB).bytes.share(8 * MiB)).toBe(8 * MiB);
  });

  test("gets smaller the more is held, and there is one for many who hold theirs for long", () => {
    const { bytes } = inFlight(48 * MiB);
    const shares: number[] = [];
    for (let holder = 0; holder < 10; holder++) {
      const share = bytes.share(8 * MiB);
      bytes.hold().grow(share);
      shares.push(share);
    }
    expect(shares).toEqual(shares.toSorted((a, b) => b - a));
    expect(shares.at(-1)).toBeGreaterThanOrEqual(ANSWER_SHARE_BYTES_MIN);
    expect(bytes.held()).toBeLessThan(48 * MiB);
  });

  test("is made of what is held without need, from the longest on, and of no more of that than needed", () => {
    const { bytes, clock } = inFlight(MiB);
    const brokenOff: string[] = [];
    for (const name of ["first", "second", "third", "used"]) {
      const hold = bytes.hold();
      hold.grow(MiB / 4);
      hold.breakOffBy(() => brokenOff.push(name));
      clock.ms += 1;
      if (name === "used") clock.ms += HTTP_STALLED_MS_MAX - 4;
      hold.progress();
    }
    expect(() => bytes.share(MiB)).toThrow(/retry/);
    clock.ms += 4;
    expect(bytes.share(MiB)).toBe(MiB / 8);
    expect(brokenOff).toEqual(["first"]);
    expect(bytes.share(MiB)).toBe(MiB / 8);
    expect(brokenOff).toEqual(["first"]);
  });
});
