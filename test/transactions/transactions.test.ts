import { expect, test } from "vitest";
import { CLIENTS } from "./clients.ts";
import { runLoop } from "./run.ts";

const SEED = 495;

test(`a loop of kafkajs writes every record exactly once while workers and the platform are killed (seed ${SEED})`, async () => {
  const client = CLIENTS.find(({ name }) => name === "kafkajs");
  if (client === undefined) throw new Error("kafkajs is not among the clients");
  const said: string[] = [];
  const { violations, counts } = await runLoop({
    client,
    seed: SEED,
    ms: 4_000,
    records: 1_500,
    workers: 2,
    partitions: 4,
    platformKills: 1,
    keep: false,
    onProgress: (line) => said.push(line),
  });
  expect(violations, said.join("\n")).toEqual([]);
  expect(counts.get("records of the input")).toBe(1_500);
  expect(counts.get("transactions aborted")).toBeGreaterThan(0);
}, 60_000);
