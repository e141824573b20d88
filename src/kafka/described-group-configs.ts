import type { Env } from "../env.ts";
import {
  CONSUMER_GROUP_HEARTBEAT_INTERVAL_MS_DEFAULT,
  CONSUMER_GROUP_SESSION_TIMEOUT_MS_DEFAULT,
} from "../model/limits.ts";
import { variable } from "./described-broker-configs.ts";
import type { DescribedConfig } from "./described-configs.ts";

/** The configs of every group, whether it exists or not (KIP-848). */
export function describedGroupConfigs(env: Env): DescribedConfig[] {
  return [
    variable(
      "consumer.heartbeat.interval.ms",
      env.EDGELOG_GROUP_CONSUMER_HEARTBEAT_INTERVAL_MS,
      String(CONSUMER_GROUP_HEARTBEAT_INTERVAL_MS_DEFAULT),
      "int",
    ),
    variable(
      "consumer.session.timeout.ms",
      env.EDGELOG_GROUP_CONSUMER_SESSION_TIMEOUT_MS,
      String(CONSUMER_GROUP_SESSION_TIMEOUT_MS_DEFAULT),
      "int",
    ),
  ];
}
