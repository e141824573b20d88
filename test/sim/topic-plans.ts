/** Topics of all kinds, small enough that something rolls, is uploaded, dropped or let go of all the time. */

import type { Retention } from "../crash/history.ts";
import type { Random } from "../crash/random.ts";

export interface TopicPlan {
  readonly partitions: number;
  readonly configs: Readonly<Record<string, string>>;
  /** What the log may let go of, by the strictest configs that the topic ever has. */
  readonly retention: Retention;
}

/** Clocks that jump make times mean little: whatever is older than this may go. */
const BYTES_KEPT = 3_000;

export function drawTopic(random: Random): TopicPlan {
  const retention = drawRetention(random);
  return {
    partitions: random.integer(1, 2),
    configs: {
      ...changeableConfigs(random),
      "message.timestamp.type": random.pick(["CreateTime", "CreateTime", "LogAppendTime"]),
      ...retention.configs,
    },
    retention: retention.allows,
  };
}

/** Those that may change at any time without letting go of a record. */
export function changeableConfigs(random: Random): Record<string, string> {
  return {
    "segment.bytes": random.pick(["2800", "5000", "12000"]),
    "segment.ms": random.pick(["50", "2000", "604800000"]),
    "index.interval.bytes": random.pick(["0", "300", "4096"]),
    "local.retention.ms": random.pick(["0", "0", "500", "-2"]),
    "edgelog.local.drop.delay.ms": random.pick(["0", "20", "2000", "60000"]),
    "file.delete.delay.ms": random.pick(["0", "50", "60000"]),
    "remote.log.copy.disable": random.pick(["false", "false", "false", "true"]),
    "message.timestamp.before.max.ms": "9223372036854775807",
  };
}

function drawRetention(random: Random): { configs: Record<string, string>; allows: Retention } {
  switch (random.pick(["all", "all", "bytes", "ms"])) {
    case "bytes":
      return {
        configs: { "retention.ms": "-1", "retention.bytes": String(BYTES_KEPT) },
        allows: { bytes: BYTES_KEPT },
      };
    case "ms":
      return { configs: { "retention.ms": random.pick(["500", "5000"]) }, allows: { ms: 0 } };
    default:
      return { configs: { "retention.ms": "-1" }, allows: {} };
  }
}
