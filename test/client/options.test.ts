/** Programs without types: what is no option is refused by name, and nothing happens in silence. */

import { describe, expect, test } from "vitest";
import { Edgelog, EdgelogError } from "../../src/client/index.ts";

const client = new Edgelog({ url: "http://127.0.0.1:1" });
/** As a program without types has it. */
const any = (options: unknown) => options as never;

async function refused(call: () => unknown): Promise<string> {
  try {
    await call();
  } catch (error) {
    if (error instanceof EdgelogError) return `${error.code}: ${error.message}`;
    throw error;
  }
  throw new Error("it was not refused");
}

describe("an option that there is none of is refused by name", () => {
  test.each<[string, () => unknown, string]>([
    [
      "of the client",
      () => new Edgelog(any({ url: "http://a", tokn: "t" })),
      "tokn is no option here; did you mean token?",
    ],
    [
      "of consume",
      () => client.consume("t", any({ isolation: "read_committed" })),
      "did you mean isolationLevel?",
    ],
    ["of consume, misspelt", () => client.consume("t", any({ grup: "g" })), "did you mean group?"],
    [
      "of a group",
      () => client.consume("t", any({ group: "g", autocommit: false })),
      "did you mean autoCommit?",
    ],
    ["of the producer", () => client.producer(any({ lingerms: 3 })), "did you mean lingerMs?"],
    [
      "of the producer, for transactions",
      () => client.producer(any({ transactionalId: "x" })),
      "this one writes none",
    ],
    [
      "of send",
      () => client.producer({ topic: "t" }).send({ value: "v" }, any({ timeout: 1 })),
      "timeout is no option here; there are signal",
    ],
    ["of sendAll", () => client.producer({ topic: "t" }).sendAll([], any({ timeout: 1 })), "timeout"],
    ["of topics.list", () => client.topics.list(any({ nothing: 1 })).next(), "nothing"],
    ["of topics.create", () => client.topics.create("t", any({ partition: 3 })), "did you mean partitions?"],
    [
      "of topics.describe",
      () => client.topics.describe("t", any({ create: true })),
      "there are signal, autoCreate",
    ],
    ["of topics.alter", () => client.topics.alter("t", any({ config: {} })), "did you mean configs?"],
    ["of topics.delete", () => client.topics.delete("t", any({ force: true })), "force"],
    [
      "of topics.describePartition",
      () => client.topics.describePartition("t", 0, any({ force: 1 })),
      "force",
    ],
    [
      "of topics.offsets",
      () => client.topics.offsets("t", any({ timestampMs: 1 })),
      "did you mean timestamp?",
    ],
    ["of groups.list", () => client.groups.list(any({ states: "Stable" })).next(), "did you mean state?"],
    ["of groups.describe", () => client.groups.describe("g", any({ partitions: 1 })), "partitions"],
    ["of groups.delete", () => client.groups.delete("g", any({ force: true })), "force"],
    ["of groups.offsets", () => client.groups.offsets("g", any({ topic: "t" })), "topic"],
    ["of groups.setOffsets", () => client.groups.setOffsets("g", [], any({ dryRun: true })), "dryRun"],
    [
      "of groups.deleteOffsets",
      () => client.groups.deleteOffsets("g", "t", any({ partitions: [1] })),
      "did you mean partition?",
    ],
    [
      "of groups.resetOffsets",
      () => client.groups.resetOffsets("g", any({ to: "latest", topic: "t" })),
      "did you mean topics?",
    ],
  ])("%s", async (_, call, problem) => {
    const told = await refused(call);
    expect(told).toContain("INVALID_CONFIG");
    expect(told).toContain(problem);
  });

  test("and so are options that are no object", async () => {
    expect(await refused(() => client.consume("t", any("earliest")))).toContain("options must be an object");
    expect(await refused(() => Reflect.construct(Edgelog, []))).toContain("options must be an object");
  });

  test("while one that is undefined is as one that is absent", () => {
    expect(() => client.consume("t", any({ from: undefined, isolationLevel: undefined }))).not.toThrow();
  });
});

describe("a reset of offsets is refused", () => {
  test.each([
    ["to a place that there is none of", { to: "begin" }, "to must be"],
    ["to nowhere", {}, "to must be"],
    ["to something else", { to: { foo: 1 } }, "to must be"],
    ["to two places", { to: { offset: 1, shiftBy: 1 } }, "to must be"],
    ["before the log", { to: { offset: -1 } }, "to must be"],
    ["of one name", { to: "latest", topics: "orders" }, "topics must list names"],
    ["of what is no topic", { to: "latest", topics: [{ name: "orders" }] }, "topics must list names"],
  ])("%s", async (_, options, problem) => {
    expect(await refused(() => client.groups.resetOffsets("g", any(options)))).toContain(problem);
  });
});
