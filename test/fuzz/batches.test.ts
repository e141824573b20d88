import { expect, test } from "vitest";
import { fuzzBatches } from "./batches.ts";

const seed = Number(process.env.FUZZ_SEED ?? Date.now() % 1_000_000);

test(`a batch is taken if and only if Kafka's description of the format allows it (FUZZ_SEED=${seed})`, () => {
  const { valid, invalid } = fuzzBatches(3_000, seed);
  expect(valid).toBeGreaterThan(300);
  expect(invalid).toBeGreaterThan(1_000);
});
