import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { BATCH_BYTES_MAX, SEGMENT_BYTES_MAX } from "../../src/model/limits.ts";
import { TOPIC_CONFIGS } from "../../src/model/topic-config-table.ts";
import { topicConfigProblem, topicConfigs, topicConfigsProblem } from "../../src/model/topic-configs.ts";

describe("a topic config's value", () => {
  test.each(TOPIC_CONFIGS.map((config) => [config.name, config.default]))(
    "%s: its default %j is honoured",
    (name, value) => {
      expect(topicConfigProblem(name, value)).toBeUndefined();
    },
  );

  test.each([
    ["retention.ms", "-1"],
    ["retention.ms", " 3600000 "],
    ["retention.ms", "+5"],
    ["retention.ms", "9223372036854775807"],
    ["segment.bytes", "2147483647"],
    ["max.message.bytes", String(BATCH_BYTES_MAX)],
    ["min.cleanable.dirty.ratio", "0.25"],
    ["min.cleanable.dirty.ratio", "1"],
    ["remote.log.copy.disable", "TRUE"],
    ["cleanup.policy", ""],
    ["cleanup.policy", " delete "],
    ["edgelog.location", "weur"],
    ["edgelog.jurisdiction", "eu"],
  ])("%s=%j is honoured", (name, value) => {
    expect(topicConfigProblem(name, value)).toBeUndefined();
  });

  test.each([
    ["retention.ms", "-2", "from -1"],
    ["retention.ms", "9223372036854775808", "to 9223372036854775807"],
    ["retention.ms", "", "whole number"],
    ["retention.ms", "1.5", "whole number"],
    ["retention.ms", "1e3", "whole number"],
    ["retention.ms", "0x10", "whole number"],
    ["segment.bytes", "2147483648", "to 2147483647"],
    ["max.message.bytes", String(BATCH_BYTES_MAX + 1), "one SQLite row"],
    ["min.cleanable.dirty.ratio", "1.01", "from 0 to 1"],
    ["min.cleanable.dirty.ratio", "NaN", "must be a number"],
    ["min.cleanable.dirty.ratio", "", "must be a number"],
    ["remote.log.copy.disable", "yes", "true or false"],
    ["preallocate", "true", "no segment files"],
    ["cleanup.policy", "compact", "not supported yet"],
    ["cleanup.policy", "delete,compact", "not supported yet"],
    ["cleanup.policy", "delete,delete", "twice"],
    ["cleanup.policy", "delete,", 'cannot have ""'],
    ["compression.type", "brotli", "one of uncompressed, zstd, lz4, snappy, gzip, producer"],
    ["compression.zstd.level", "9", "default level"],
    ["remote.copy.lag.ms", "1000", "as soon as it is sealed"],
    ["segment.jitter.ms", "1000", "seals its own segments"],
    ["message.timestamp.type", "createtime", "CreateTime, LogAppendTime"],
    ["edgelog.location", "mars", "weur"],
    ["no.such.config", "1", "no topic config"],
    ["min.cleanable.dirty.ratio", `0.${"0".repeat(1_000)}`, "1002 characters"],
    ["retention.ms", `${" ".repeat(1_000)}5`, "1001 characters"],
    ["__proto__", "1", "no topic config"],
    ["constructor", "1", "no topic config"],
  ])("%s=%j is refused and the message says %j", (name, value, said) => {
    const problem = topicConfigProblem(name, value);
    expect(problem?.error).toBe("INVALID_CONFIG");
    expect(problem?.message).toContain(said);
  });

  test("is never repeated at length", () => {
    for (const { name } of TOPIC_CONFIGS) {
      expect(topicConfigProblem(name, "x".repeat(100_000))?.message.length).toBeLessThan(500);
    }
  });

  test("that is honoured is a number where a number is meant", () => {
    fc.assert(
      fc.property(fc.constantFrom(...TOPIC_CONFIGS), fc.string(), ({ name, type }, value) => {
        const isNumber = type === "int" || type === "long" || type === "double";
        if (!isNumber || topicConfigProblem(name, value) !== undefined) return;
        expect(Number(value)).not.toBeNaN();
        expect(value.trim()).not.toBe("");
      }),
    );
  });
});

describe("a topic's configs in effect", () => {
  test("are Kafka's defaults where nothing was given", () => {
    expect(topicConfigs({})).toMatchObject({
      retentionMs: 604_800_000,
      retentionBytes: Number.POSITIVE_INFINITY,
      localRetentionMs: undefined,
      localRetentionBytes: undefined,
      maxMessageBytes: 1_048_588,
      messageTimestampBeforeMaxMs: Number.POSITIVE_INFINITY,
      remoteStorageEnable: true,
    });
  });

  test("are unlimited at -1 and at Long.MAX_VALUE", () => {
    expect(topicConfigs({ "retention.ms": "-1" }).retentionMs).toBe(Number.POSITIVE_INFINITY);
    expect(topicConfigs({ "retention.ms": "9223372036854775807" }).retentionMs).toBe(
      Number.POSITIVE_INFINITY,
    );
  });

  test("do not let a segment grow beyond the effective limit", () => {
    expect(topicConfigs({ "segment.bytes": "1073741824" }).segmentBytes).toBe(SEGMENT_BYTES_MAX);
  });

  test("keep everything when the cleanup policy is empty", () => {
    const configs = topicConfigs({ "cleanup.policy": "", "retention.ms": "1", "retention.bytes": "1" });
    expect(configs.retentionMs).toBe(Number.POSITIVE_INFINITY);
    expect(configs.retentionBytes).toBe(Number.POSITIVE_INFINITY);
  });

  test("are read whatever the case and the spaces they were given with", () => {
    expect(topicConfigs({ "remote.log.copy.disable": " TRUE " }).remoteLogCopyDisable).toBe(true);
    expect(topicConfigs({ "message.timestamp.type": " LogAppendTime" }).messageTimestampType).toBe(
      "LogAppendTime",
    );
  });
});

describe("configs together", () => {
  test.each([
    [{ "retention.ms": "1000" }],
    [{ "retention.ms": "1000", "local.retention.ms": "1000" }],
    [{ "retention.ms": "-1", "local.retention.ms": "-1" }],
    [{ "local.retention.bytes": "1", "retention.bytes": "-1" }],
    [{ "retention.ms": "1000", "local.retention.ms": "2000", "remote.storage.enable": "false" }],
  ])("%j stand", (configs) => {
    expect(topicConfigsProblem(configs)).toBeUndefined();
  });

  test.each([
    [{ "retention.ms": "1000", "local.retention.ms": "2000" }, "local.retention.ms (2000)"],
    [{ "local.retention.ms": "-1" }, "local.retention.ms (-1)"],
    [{ "retention.bytes": "10", "local.retention.bytes": "11" }, "local.retention.bytes (11)"],
    [{ "min.compaction.lag.ms": "2", "max.compaction.lag.ms": "1" }, "min.compaction.lag.ms"],
  ])("%j are refused: %s", (configs, said) => {
    const problem = topicConfigsProblem(configs);
    expect(problem?.error).toBe("INVALID_CONFIG");
    expect(problem?.message).toContain(said);
  });
});
