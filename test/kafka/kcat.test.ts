import { execFileSync, spawnSync } from "node:child_process";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Edgelog } from "../../src/client/index.ts";
import { type KafkaPlatform, startKafkaPlatform } from "./kafka-platform.ts";

const KCAT_TIMEOUT_MS = 30_000;
const hasKcat = spawnSync("kcat", ["-V"]).status === 0;

/** kcat is librdkafka's command (Debian: `apt-get install kcat`). */
describe.skipIf(!hasKcat)("kcat", () => {
  let platform: KafkaPlatform;
  beforeAll(async () => {
    platform = await startKafkaPlatform({ kafkaPorts: [0, 0, 0] });
  });
  afterAll(async () => {
    await platform.stop();
  });

  function kcat(args: readonly string[], input = ""): string {
    const options = {
      input,
      encoding: "utf8",
      timeout: KCAT_TIMEOUT_MS,
      maxBuffer: 64 * 1024 * 1024,
    } as const;
    return execFileSync("kcat", ["-b", platform.bootstrap, ...args], options);
  }

  function consume(topic: string, format: string, ...more: readonly string[]): string {
    return kcat(["-C", "-q", "-e", "-t", topic, "-f", format, ...more]);
  }

  const records = Array.from({ length: 10_000 }, (_, index) => `key-${index % 7}\tvalue ${index} é\n`).join(
    "",
  );

  it.each(["none", "gzip", "snappy", "lz4", "zstd"])("reads back what it has produced with %s", (codec) => {
    const topic = `codec-${codec}`;
    kcat(["-P", "-t", topic, "-K", "\t", "-z", codec], records);
    expect(consume(topic, "%k\t%s\\n", "-o", "beginning")).toBe(records);
  });

  it.each(["uncompressed", "gzip", "snappy", "lz4", "zstd"])(
    "reads what its topic has compressed with %s",
    async (type) => {
      const topic = `stored-${type}`;
      const configs = { "compression.type": type };
      await new Edgelog({ url: platform.url }).topics.create(topic, { configs });
      kcat(["-P", "-t", topic, "-K", "\t", "-z", "none"], records);
      expect(consume(topic, "%k\t%s\\n", "-o", "beginning", "-X", "check.crcs=true")).toBe(records);
    },
  );

  it("sees one broker for each Kafka port, and topics that it has created by producing", () => {
    kcat(["-P", "-t", "seen"], "a\n");
    const { brokers, topics } = JSON.parse(kcat(["-L", "-J", "-t", "seen"]));
    expect(brokers.map(({ name }: { name: string }) => name).sort()).toEqual(
      platform.bootstrap.split(",").sort(),
    );
    expect(topics).toMatchObject([{ topic: "seen", partitions: [{ partition: 0 }] }]);
  });

  it("keeps headers, empty values and null values", () => {
    kcat(["-P", "-t", "odd", "-K", ":", "-Z", "-H", "source=kcat", "-H", "empty="], "null:\n");
    kcat(["-P", "-t", "odd", "-K", ":"], "empty:\n");
    expect(consume("odd", "%k %S %h\\n", "-o", "beginning")).toBe("null -1 source=kcat,empty=\nempty 0 \n");
  });

  it("produces idempotently", () => {
    for (let run = 0; run < 2; run++)
      kcat(["-P", "-t", "once", "-X", "enable.idempotence=true"], "a\nb\nc\n");
    expect(consume("once", "%o%s ", "-o", "beginning")).toBe("0a 1b 2c 3a 4b 5c ");
  });

  it("starts at an offset, from the end, and at a time", () => {
    kcat(["-P", "-t", "places"], "a\nb\nc\n");
    const [, second = ""] = consume("places", "%T ", "-o", "beginning").split(" ");
    expect(consume("places", "%s", "-o", "1")).toBe("bc");
    expect(consume("places", "%s", "-o", "-1")).toBe("c");
    expect(consume("places", "%s", "-o", `s@${second}`)).toMatch(/^a?bc$/);
    expect(kcat(["-Q", "-t", "places:0:-1"])).toContain("offset 3");
  });
});
