import { expect, test } from "vitest";
import { CLIENTS } from "./clients.ts";
import { runChurn } from "./run.ts";

const SEED = 7;

test.each(["kafkajs", "sdk-node"])(
  `a group of %s processes everything while members are killed and added, and the platform is killed as it rebalances (seed ${SEED})`,
  async (name) => {
    const client = CLIENTS.find((one) => one.name === name);
    if (client === undefined) throw new Error(`${name} is not among the clients`);
    const said: string[] = [];
    const { violations, counts } = await runChurn({
      client,
      seed: SEED,
      ms: 12_000,
      records: 5_000,
      members: 3,
      partitions: 6,
      platformKills: 1,
      keep: false,
      onProgress: (line) => said.push(line),
    });
    expect(violations, said.join("\n")).toEqual([]);
    expect(counts.get("records")).toBe(5_000);
  },
  120_000,
);
