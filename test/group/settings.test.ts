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

test("a group keeps offsets for as many minutes as the Worker's variable says, else Kafka's seven days", () => {
  const days = (minutes?: string) =>
    groupSettings(minutes === undefined ? {} : { EDGELOG_OFFSETS_RETENTION_MINUTES: minutes })
      .offsetsRetentionMs /
    (24 * 3_600_000);
  expect(days()).toBe(7);
  expect(days("1440")).toBe(1);
  expect(days("0")).toBe(7);
  expect(days("2147483647")).toBe(2_147_483_647 / (24 * 60));
});
