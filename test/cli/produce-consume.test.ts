import { once } from "node:events";
import { createInterface } from "node:readline";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { edgelog, end, exit, type Result, type Served, serve, start, temporaryDirectory } from "./edgelog.ts";

let served: Served;
let directory: Awaited<ReturnType<typeof temporaryDirectory>>;
let topics = 0;

beforeAll(async () => {
  directory = await temporaryDirectory();
  served = await serve(directory.path);
});

afterAll(async () => {
  await end(served.process);
  await directory[Symbol.asyncDispose]();
});

function run(args: readonly string[], input: string | Uint8Array = ""): Promise<Result> {
  return edgelog(args, { env: served.env, input });
}

async function newTopic(partitions = 1): Promise<string> {
  topics += 1;
  const topic = `topic-${topics}`;
  const created = await run(["topic", "create", topic, "-p", String(partitions)]);
  expect(created.exitCode).toBe(0);
  return topic;
}

async function consumed(topic: string, ...args: string[]): Promise<string> {
  const result = await run(["consume", topic, "-e", ...args]);
  expect(result).toMatchObject({ exitCode: 0, stderr: "" });
  return result.stdout;
}

describe("edgelog produce", () => {
  test("each line of stdin is a record, the last one with or without a newline, empty ones too", async () => {
    const topic = await newTopic();
    const result = await run(["produce", topic], "one\n\nthree");
    expect(result).toMatchObject({ exitCode: 0, stdout: "", stderr: `3 records sent to ${topic}.\n` });
    expect(await consumed(topic, "-f", "[%s]")).toBe("[one][][three]");
  });

  test("lines are bytes: what is not UTF-8 comes back as it was", async () => {
    const topic = await newTopic();
    await run(["produce", topic], Uint8Array.of(0xff, 0x00, 0xfe, 0x0a));
    const [record] = (await consumed(topic, "--json")).trim().split("\n");
    expect(JSON.parse(record ?? "")).toMatchObject({ value: { base64: "/wD+" } });
  });

  test("a record may be as large as its topic allows; one that is larger is refused with what would help", async () => {
    const topic = await newTopic();
    const large = "x".repeat(1_500_000);
    const refused = await run(["produce", topic], large);
    expect(refused).toMatchObject({ exitCode: 1, stdout: "" });
    expect(refused.stderr).toContain("max.message.bytes, 1048588");
    expect(refused.stderr).toContain("edgelog topic alter <topic> --config max.message.bytes=1900000");
    await run(["topic", "alter", topic, "--config", "max.message.bytes=1900000"]);
    expect(await run(["produce", topic], large)).toMatchObject({ exitCode: 0 });
    expect(await consumed(topic, "-f", "%S")).toBe("1500000");
  });

  test("-K takes the key from each line; equal keys share a partition; a line without delimiter has no key", async () => {
    const topic = await newTopic(4);
    await run(["produce", topic, "-K", "\\t"], "a\t1\nb\t2\na\t3\nplain\n");
    const records = (await consumed(topic, "--json"))
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line));
    const ofA = records.filter(({ key }) => key === "a");
    expect(ofA.map(({ value }) => value)).toEqual(["1", "3"]);
    expect(new Set(ofA.map(({ partition }) => partition)).size).toBe(1);
    expect(records.find(({ key }) => key === null)).toMatchObject({ value: "plain" });
  });

  test("-k, -H, -p and -z apply to every record", async () => {
    const topic = await newTopic(3);
    const args = ["-k", "key", "-H", "a=1", "-H", "b=x=y", "-p", "2", "-z", "gzip", "--json"];
    const result = await run(["produce", topic, ...args], "one\ntwo\n");
    expect(
      result.stdout
        .trim()
        .split("\n")
        .map((line) => JSON.parse(line)),
    ).toEqual([
      { topic, partition: 2, offset: 0 },
      { topic, partition: 2, offset: 1 },
    ]);
    expect(await consumed(topic, "-f", "%p/%o %k=%s %h\\n")).toBe(
      "2/0 key=one a=1,b=x=y\n2/1 key=two a=1,b=x=y\n",
    );
  });

  test("-Z makes an empty value a tombstone", async () => {
    const topic = await newTopic();
    await run(["produce", topic, "-K", ":", "-Z"], "gone:\n");
    expect(await consumed(topic, "-f", "%k %S")).toBe("gone -1");
  });

  test("100,000 lines arrive complete and in order", async () => {
    const topic = await newTopic();
    const input = Array.from({ length: 100_000 }, (_, i) => `line ${i}\n`).join("");
    expect(await run(["produce", topic], input)).toMatchObject({ exitCode: 0 });
    expect((await consumed(topic)) === input).toBe(true);
  });

  test("a line that no record can hold is an error", async () => {
    const topic = await newTopic();
    const result = await run(["produce", topic], "x".repeat(2_000_000));
    expect(result).toMatchObject({ exitCode: 1, stdout: "" });
    expect(result.stderr).toContain("1900000 bytes");
  });

  test("a partition that there is not ends it with an error", async () => {
    const topic = await newTopic();
    const result = await run(["produce", topic, "-p", "9"], "one\n");
    expect(result.exitCode).toBe(1);
    expect(result.stderr).toContain("9");
  });

  test.each([[["-k", "a", "-K", ":"]], [["-K", ""]], [["-p", "x"]], [["-z", "lzma"]], [["-H", "novalue"]]])(
    "wrong usage is exit code 2: produce %j",
    async (args) => {
      expect(await run(["produce", "any", ...args], "one\n")).toMatchObject({ exitCode: 2, stdout: "" });
    },
  );
});

describe("edgelog consume", () => {
  test("-o begins at the beginning, the end, an offset, so many before the end, or a time", async () => {
    const topic = await newTopic();
    await run(["produce", topic], "a\nb\nc\nd\n");
    expect(await consumed(topic)).toBe("a\nb\nc\nd\n");
    expect(await consumed(topic, "-o", "beginning")).toBe("a\nb\nc\nd\n");
    expect(await consumed(topic, "-o", "end")).toBe("");
    expect(await consumed(topic, "-o", "2")).toBe("c\nd\n");
    expect(await consumed(topic, "-o", "-1")).toBe("d\n");
    expect(await consumed(topic, "-o", "-100")).toBe("a\nb\nc\nd\n");
    expect(await consumed(topic, "-o", "s@0")).toBe("a\nb\nc\nd\n");
    expect(await consumed(topic, "-o", "s@9999999999999")).toBe("");
  });

  test.each([[["-e"]], [[]]])(
    "an offset that the log does not have is an error with those it has: %j",
    async (args) => {
      const topic = await newTopic();
      await run(["produce", topic], "a\nb\n");
      expect(await consumed(topic, "-o", "2")).toBe("");
      const result = await run(["consume", topic, "-o", "3", ...args]);
      expect(result).toMatchObject({ exitCode: 1, stdout: "" });
      expect(result.stderr).toContain("Offset 3 lies outside partition 0");
      expect(result.stderr).toContain("starts at 0 and ends at 2");
    },
  );

  test("-c stops after so many, -p reads only the partitions named", async () => {
    const topic = await newTopic(2);
    await run(["produce", topic, "-p", "0"], "a\nb\nc\n");
    await run(["produce", topic, "-p", "1"], "x\ny\n");
    expect(await consumed(topic, "-p", "1")).toBe("x\ny\n");
    expect(await consumed(topic, "-p", "0", "-c", "2")).toBe("a\nb\n");
    const follows = await run(["consume", topic, "-p", "0", "-c", "3"]);
    expect(follows).toMatchObject({ exitCode: 0, stdout: "a\nb\nc\n" });
  });

  test("it follows: what is produced later is printed at once, and Ctrl-C ends it with exit code 0", async () => {
    const topic = await newTopic();
    await run(["produce", topic], "before\n");
    const consumer = start(["consume", topic], served.env);
    if (consumer.stdout === null) throw new Error("no stdout");
    const lines = createInterface(consumer.stdout);
    expect(await once(lines, "line")).toEqual(["before"]);
    const next = once(lines, "line");
    await run(["produce", topic], "after\n");
    expect(await next).toEqual(["after"]);
    expect(await end(consumer, "SIGINT")).toBe(0);
  });

  test("when the reader of its output goes away it ends quietly", async () => {
    const topic = await newTopic();
    await run(["produce", topic], "x".repeat(1000).concat("\n").repeat(5000));
    const consumer = start(["consume", topic], served.env);
    let stderr = "";
    consumer.stderr?.on("data", (chunk) => {
      stderr += String(chunk);
    });
    consumer.stdout?.once("data", () => consumer.stdout?.destroy());
    expect(await exit(consumer)).toBe(0);
    expect(stderr).toBe("");
  });

  test("a topic that does not exist is an error", async () => {
    const result = await run(["consume", "nowhere", "-e"]);
    expect(result).toMatchObject({ exitCode: 1, stdout: "" });
    expect(result.stderr).toContain("nowhere");
  });

  test.each([[["-o", "middle"]], [["-c", "0"]], [["-f", "%q"]], [["-p", "-1"]]])(
    "wrong usage is exit code 2: consume %j",
    async (args) => {
      expect(await run(["consume", "any", ...args])).toMatchObject({ exitCode: 2, stdout: "" });
    },
  );
});
