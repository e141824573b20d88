import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import kafkajs from "kafkajs";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Edgelog } from "../../src/client/index.ts";
import { type KafkaPlatform, startKafkaPlatform } from "../kafka/kafka-platform.ts";
import { edgelog, end, type Result, start } from "./edgelog.ts";

let platform: KafkaPlatform;
let client: Edgelog;
let names = 0;

beforeAll(async () => {
  platform = await startKafkaPlatform({ vars: { EDGELOG_GROUP_INITIAL_REBALANCE_DELAY_MS: "0" } });
  client = new Edgelog({ url: platform.url });
});

afterAll(() => platform.stop());

function run(...args: string[]): Promise<Result> {
  return edgelog(["group", ...args], { env: { EDGELOG_URL: platform.url } });
}

/** Ten records in each of its partitions, made at `timestamp`. */
async function newTopic(partitions = 2, timestamp = Date.now()): Promise<string> {
  const topic = `topic-${++names}`;
  await client.topics.create(topic, { partitions });
  const producer = client.producer({ topic });
  await producer.send(
    Array.from({ length: 10 * partitions }, (_, i) => ({ value: "x", partition: i % partitions, timestamp })),
  );
  await producer.close();
  return topic;
}

/** A group without members that has committed these offsets, one per partition. */
async function newGroup(topic: string, ...offsets: number[]): Promise<string> {
  const group = `group-${++names}`;
  await client.groups.setOffsets(
    group,
    offsets.map((offset, partition) => ({ topic, partition, offset })),
  );
  return group;
}

/** A member that has read and committed the whole topic. */
async function kafkaConsumer(group: string, topic: string): Promise<AsyncDisposable> {
  const { Kafka, logLevel } = kafkajs;
  const kafka = new Kafka({ brokers: [platform.bootstrap], clientId: "worker", logLevel: logLevel.NOTHING });
  const consumer = kafka.consumer({ groupId: group });
  const joined = new Promise((resolve) => consumer.on(consumer.events.GROUP_JOIN, resolve));
  await consumer.connect();
  await consumer.subscribe({ topic, fromBeginning: true });
  await consumer.run({ eachMessage: async () => undefined });
  await joined;
  return { [Symbol.asyncDispose]: () => consumer.disconnect() };
}

const rows = (stdout: string) =>
  stdout
    .trimEnd()
    .split("\n")
    .map((line) => line.split(/ {2,}/));

describe("edgelog group", () => {
  test("list prints ids, or a table with states and types, or only some", async () => {
    const group = await newGroup(await newTopic(), 0);
    expect((await run("list")).stdout.split("\n")).toContain(group);
    expect(rows((await run("list", "--state")).stdout)).toContainEqual([group, "classic", "Empty", "0"]);
    expect((await run("list", "--state", "Stable")).stdout).not.toContain(group);
    expect((await run("list", "--state", "empty")).stdout).toContain(group);
    expect((await run("list", "--type", "classic", "--json")).stdout).toContain(
      JSON.stringify({ group, type: "classic", state: "Empty", protocolType: "", members: 0 }),
    );
  });

  test("describe prints the lag of every partition in records and in time", async () => {
    const topic = await newTopic(2, Date.now() - 7_200_000);
    const group = await newGroup(topic, 8, 10);
    const described = await run("describe", group);
    expect(described).toMatchObject({ exitCode: 0, stderr: `Group ${group} has no active members.\n` });
    expect(rows(described.stdout)).toEqual([
      ["topic", "partition", "committed", "log end", "lag", "behind", "member", "host", "client"],
      [topic, "0", "8", "10", "2", "2 h", "-", "-", "-"],
      [topic, "1", "10", "10", "0", "-", "-", "-", "-"],
    ]);
    const json = JSON.parse((await run("describe", group, "--json")).stdout);
    expect(json).toMatchObject({ group, state: "Empty", lagRecords: 2, isPartial: false });
    expect(json.partitions).toMatchObject([{ lagRecords: 2 }, { lagRecords: 0, lagMs: null }]);
  });

  test("describe prints members and state; a group with members is not moved or deleted", async () => {
    const topic = await newTopic();
    const group = `group-${++names}`;
    await using _ = await kafkaConsumer(group, topic);
    const [, member = []] = rows((await run("describe", group, "--members")).stdout);
    expect(member).toEqual([member[0], "-", "127.0.0.1", "worker", "-", "2", `${topic}:0,1`]);
    expect(member[0]).toMatch(/^worker-/);
    const state = Object.fromEntries(rows((await run("describe", group, "--state")).stdout));
    expect(state).toMatchObject({ group, type: "classic", state: "Stable", members: "1" });
    expect(state).toMatchObject({ assignor: "RoundRobinAssigner", generation: "1" });
    const offsets = rows((await run("describe", group)).stdout);
    expect(offsets[1]?.slice(6)).toEqual([member[0], "127.0.0.1", "worker"]);
    for (const refused of [
      await run("reset-offsets", group, "--to-earliest", "--all-topics", "--execute"),
      await run("delete", group),
    ]) {
      expect(refused).toMatchObject({ exitCode: 1, stdout: "" });
      expect(refused.stderr).toContain("NON_EMPTY_GROUP");
      expect(refused.stderr).toContain("edgelog group describe --members");
      expect(refused.stderr).toContain("DELETE /v1/groups/{group}/members/{member}");
    }
    const subscribed = await run("delete-offsets", group, "--topic", topic);
    expect(subscribed.exitCode).toBe(1);
    expect(subscribed.stderr).toContain("GROUP_SUBSCRIBED_TO_TOPIC");
  });

  test("reset-offsets says what it would do, by any of Kafka's ways, and changes nothing", async () => {
    const hourAgo = Date.now() - 3_600_000;
    const topic = await newTopic(2, hourAgo);
    const group = await newGroup(topic, 6, 9);
    const ways: [how: string[], first: string, second: string, said?: string][] = [
      [["--to-earliest"], "0", "0"],
      [["--to-current"], "6", "9"],
      [["--to-offset", "99"], "10", "10", `Partition 0 of ${topic} has no offset 99: 10 instead.`],
      [["--shift-by", "-3"], "3", "6"],
      [["--to-datetime", new Date(hourAgo).toISOString().slice(0, -1)], "0", "0"],
      [["--to-datetime", new Date(hourAgo + 1).toISOString()], "10", "10"],
      [["--by-duration", "P1DT1S"], "0", "0"],
    ];
    for (const [how, first, second, said = ""] of ways) {
      const { exitCode, stdout, stderr } = await run("reset-offsets", group, "--all-topics", ...how);
      expect(exitCode).toBe(0);
      expect(rows(stdout)).toEqual([
        ["topic", "partition", "committed", "new offset"],
        [topic, "0", "6", first],
        [topic, "1", "9", second],
      ]);
      expect(stderr).toContain(said);
      expect(stderr).toContain("--execute");
    }
    expect((await client.groups.offsets(group)).map(({ offset }) => offset)).toEqual([6, 9]);
  });

  test("reset-offsets --execute moves single partitions, and --json tells each", async () => {
    const topic = await newTopic(3);
    const group = await newGroup(topic, 5, 5, 5);
    const { stdout } = await run(
      "reset-offsets",
      group,
      "--to-latest",
      "--topic",
      `${topic}:0,2`,
      "--json",
      "--execute",
    );
    const moved = (partition: number) => ({
      ...{ group, topic, partition, previousOffset: 5, offset: 10, outOfRange: null, executed: true },
    });
    expect(
      stdout
        .trimEnd()
        .split("\n")
        .map((line) => JSON.parse(line)),
    ).toEqual([moved(0), moved(2)]);
    expect((await client.groups.offsets(group)).map(({ offset }) => offset)).toEqual([10, 5, 10]);
  });

  test("delete-offsets and delete take away what is committed", async () => {
    const topic = await newTopic();
    const group = await newGroup(topic, 1, 2);
    expect(await run("delete-offsets", group, "--topic", `${topic}:0`)).toMatchObject({ exitCode: 0 });
    expect(await client.groups.offsets(group)).toMatchObject([{ partition: 1, offset: 2 }]);
    expect(await run("delete", group)).toMatchObject({ exitCode: 0, stderr: `Deleted ${group}.\n` });
    expect(await run("delete", group, "--if-exists")).toMatchObject({ exitCode: 0 });
    const gone = await run("describe", group);
    expect(gone.exitCode).toBe(1);
    expect(gone.stderr).toContain("edgelog group list");
  });

  test.each([
    [["list", "--state", "Foo"], "Give one of Empty, PreparingRebalance, CompletingRebalance,"],
    [["list", "--type", "foo"], "Give one of classic, consumer."],
    [["describe", "g", "--members", "--state"], "--offsets, --members and --state"],
    [["reset-offsets", "g", "--all-topics"], "--to-earliest"],
    [
      ["reset-offsets", "g", "--all-topics", "--to-latest", "--to-earliest"],
      "--to-earliest and --to-latest exclude",
    ],
    [["reset-offsets", "g", "--to-latest"], "--all-topics"],
    [
      ["reset-offsets", "g", "--to-latest", "--topic", "t", "--all-topics"],
      "--all-topics and --topic exclude",
    ],
    [["reset-offsets", "g", "--to-latest", "--topic", "t", "--dry-run", "--execute"], "--execute"],
    [["reset-offsets", "g", "--topic", "t", "--by-duration", "1h"], "PT1H30M"],
    [["delete-offsets", "g"], "--topic"],
  ])("wrong usage is exit code 2, and says what would be right: %j", async (args, advice) => {
    const result = await run(...args);
    expect(result).toMatchObject({ exitCode: 2, stdout: "" });
    expect(result.stderr).toContain(advice);
  });

  test("--watch prints a line each time the lag is looked at, until it is stopped", async () => {
    const topic = await newTopic(1);
    const group = await newGroup(topic, 4);
    const child = start(["group", "describe", group, "--watch", "1"], { EDGELOG_URL: platform.url });
    if (child.stdout === null) throw new Error("no stdout");
    const lines = createInterface(child.stdout)[Symbol.asyncIterator]();
    const next = async () => String((await lines.next()).value);
    expect(await next()).toMatch(
      new RegExp(`^[0-9TZ:.-]+ {2}${group}: Empty, 0 members, 1 partition, lag 6, .* behind$`),
    );
    await client.groups.setOffsets(group, [{ topic, partition: 0, offset: 10 }]);
    let line = await next();
    while (!line.includes("lag 0")) line = await next();
    expect(line).toMatch(/1 partition, lag 0$/);
    expect(await end(child, "SIGINT")).toBe(0);
  });

  test("--watch on a terminal draws again in the same place", async () => {
    const topic = await newTopic(30);
    const group = await newGroup(topic, ...Array.from({ length: 30 }, (_, partition) => partition % 10));
    if (spawnSync("script", ["--version"]).error !== undefined) return;
    const command = `stty rows 10 cols 100; exec ${process.execPath} src/cli/main.ts group describe ${group} -w 1`;
    const child = spawn("script", ["-qec", command, "/dev/null"], {
      env: { ...process.env, EDGELOG_URL: platform.url },
    });
    let screen = "";
    child.stdout.setEncoding("utf8");
    while (screen.split("\x1b[J").length < 4) screen += String((await once(child.stdout, "data"))[0]);
    child.kill();
    const [, first = ""] = screen.split("\x1b[J");
    expect(first).toContain("lag 165");
    expect(first).toContain("… and 25 more that lag less");
    // Those that lag most, and no more than there is room for.
    expect(first).toMatch(new RegExp(`${topic} +0 +0 +10 +10`));
    expect(first.endsWith("\x1b[9A\r")).toBe(true);
  });
});
