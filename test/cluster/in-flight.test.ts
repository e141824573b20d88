import { expect, test } from "vitest";
import { InFlightBytes } from "../../src/cluster/in-flight.ts";
import { HTTP_IN_FLIGHT_MS_MAX } from "../../src/model/limits.ts";

function inFlight() {
  const clock = { ms: 0 };
  return { clock, bytes: new InFlightBytes(100, () => clock.ms) };
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
