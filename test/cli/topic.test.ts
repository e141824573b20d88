import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { HTTP_LIST_PAGE_MAX } from "../../src/model/limits.ts";
import { edgelog, end, type Result, type Served, serve, temporaryDirectory } from "./edgelog.ts";

let served: Served;
let directory: Awaited<ReturnType<typeof temporaryDirectory>>;

beforeAll(async () => {
  directory = await temporaryDirectory();
  served = await serve(directory.path);
});

afterAll(async () => {
  await end(served.process);
  await directory[Symbol.asyncDispose]();
});

function run(...args: string[]): Promise<Result> {
  return edgelog(["topic", ...args], { env: served.env });
}

async function createByHttp(name: string): Promise<void> {
  const headers = { "content-type": "application/json" };
  const response = await fetch(`${served.url}/v1/topics`, {
    method: "POST",
    headers,
    body: JSON.stringify({ name }),
  });
  expect(response.status).toBe(201);
}

describe("edgelog topic", () => {
  test("a topic is created, listed, described, altered and deleted", async () => {
    expect(await run("create", "orders", "-p", "3", "-c", "retention.ms=60000")).toMatchObject({
      exitCode: 0,
      stdout: "",
      stderr: "Created orders with 3 partitions.\n",
    });
    expect((await run("list")).stdout.split("\n")).toContain("orders");
    const described = await run("describe", "orders");
    expect(described.exitCode).toBe(0);
    expect(described.stdout).toMatch(/^partitions +3$/m);
    expect(described.stdout).toMatch(/^retention\.ms +60000$/m);
    expect(described.stdout).not.toMatch(/^cleanup\.policy/m);
    const altered = await run(
      "alter",
      "orders",
      "-p",
      "4",
      "-d",
      "retention.ms",
      "-c",
      "segment.ms=9000",
      "--json",
    );
    expect(JSON.parse(altered.stdout)).toMatchObject({ partitions: 4, configs: { "segment.ms": "9000" } });
    expect(await run("delete", "orders")).toMatchObject({ exitCode: 0, stderr: "Deleted orders.\n" });
    expect((await run("list")).stdout.split("\n")).not.toContain("orders");
  });

  test("describe --all-configs shows the configs that have their default too", async () => {
    await run("create", "defaults");
    expect((await run("describe", "defaults", "--all-configs")).stdout).toMatch(/^cleanup\.policy +delete$/m);
  });

  test("--json prints one JSON value a line", async () => {
    const created = await run("create", "json", "--json");
    expect(JSON.parse(created.stdout)).toMatchObject({ name: "json", partitions: 1 });
    const listed = (await run("list", "--json")).stdout
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line));
    expect(listed).toContainEqual(expect.objectContaining({ name: "json" }));
    const described = JSON.parse((await run("describe", "json", "--json")).stdout);
    expect(described.partitionDetails).toMatchObject([{ partition: 0, logStartOffset: 0, highWatermark: 0 }]);
  });

  test("more topics than fit on one page are all listed", async () => {
    const names = Array.from({ length: HTTP_LIST_PAGE_MAX + 1 }, (_, i) => `page-${i}`);
    for (let at = 0; at < names.length; at += 50)
      await Promise.all(names.slice(at, at + 50).map(createByHttp));
    const listed = (await run("list")).stdout.trim().split("\n");
    expect(listed).toEqual(expect.arrayContaining(names));
    expect(new Set(listed).size).toBe(listed.length);
  });

  test("a topic that exists is an error, unless --if-not-exists", async () => {
    await run("create", "twice");
    const again = await run("create", "twice");
    expect(again.exitCode).toBe(1);
    expect(again.stderr).toContain("TOPIC_ALREADY_EXISTS");
    expect((await run("create", "twice", "--if-not-exists")).exitCode).toBe(0);
  });

  test("a topic that does not exist is an error that says how to go on, unless --if-exists", async () => {
    const missing = await run("delete", "nowhere");
    expect(missing).toMatchObject({ exitCode: 1, stdout: "" });
    expect(missing.stderr).toContain("edgelog topic list");
    expect((await run("delete", "nowhere", "--if-exists")).exitCode).toBe(0);
    expect((await run("describe", "nowhere")).exitCode).toBe(1);
  });

  test("a config that is not honoured is refused with the reason", async () => {
    const refused = await run("create", "refused", "-c", "max.message.bytes=2000000");
    expect(refused.exitCode).toBe(1);
    expect(refused.stderr).toContain("INVALID_CONFIG");
    expect(refused.stderr).toContain("max.message.bytes");
  });

  test.each([
    [["create"]],
    [["create", "x", "-p", "0"]],
    [["create", "x", "-c", "novalue"]],
    [["alter", "x"]],
    [["alter", "x", "-c", "a=1", "-d", "a"]],
    [["describe"]],
    [["nonsense"]],
  ])("wrong usage is exit code 2: topic %j", async (args) => {
    const result = await run(...args);
    expect(result).toMatchObject({ exitCode: 2, stdout: "" });
    expect(result.stderr).not.toBe("");
  });

  test("a cluster that is not there is an error that says how to start one", async () => {
    const result = await edgelog(["topic", "create", "x", "--url", "http://127.0.0.1:1"]);
    expect(result).toMatchObject({ exitCode: 1, stdout: "" });
    expect(result.stderr).toMatch(/127\.0\.0\.1:1 does not answer .*edgelog serve/s);
    const https = served.url.replace("http:", "https:");
    const wrongScheme = await edgelog(["topic", "list", "--url", https]);
    expect(wrongScheme).toMatchObject({ exitCode: 1, stdout: "" });
    expect(wrongScheme.stderr).toContain("speaks http:, not https:");
  });
});
