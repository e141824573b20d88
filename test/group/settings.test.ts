import { expect, test } from "vitest";
import { groupSettings } from "../../durable-objects/group/settings.ts";

test("a group's times are those of the Worker's variables, within their bounds, else Kafka's", () => {
  const times = (delay?: string, session?: string, heartbeat?: string) => {
    const settings = groupSettings({
      ...(delay !== undefined && { EDGELOG_GROUP_INITIAL_REBALANCE_DELAY_MS: delay }),
      ...(session !== undefined && { EDGELOG_GROUP_CONSUMER_SESSION_TIMEOUT_MS: session }),
      ...(heartbeat !== undefined && { EDGELOG_GROUP_CONSUMER_HEARTBEAT_INTERVAL_MS: heartbeat }),
    });
    const { initialRebalanceDelayMs, consumerSessionTimeoutMs, consumerHeartbeatIntervalMs } = settings;
    return [initialRebalanceDelayMs, consumerSessionTimeoutMs, consumerHeartbeatIntervalMs];
  };
  expect(times()).toEqual([3_000, 45_000, 5_000]);
  expect(times("0", "6000", "1000")).toEqual([0, 6_000, 1_000]);
  expect(times("-1", "5999", "499")).toEqual([3_000, 45_000, 5_000]);
  expect(times("soon", "1800001", "60001")).toEqual([3_000, 45_000, 5_000]);
});
