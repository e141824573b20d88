import type { Env } from "../../src/env.ts";
import {
  CONSUMER_GROUP_HEARTBEAT_INTERVAL_MS,
  CONSUMER_GROUP_HEARTBEAT_INTERVAL_MS_DEFAULT,
  CONSUMER_GROUP_SESSION_TIMEOUT_MS_DEFAULT,
  GROUP_INITIAL_REBALANCE_DELAY_MS,
  GROUP_INITIAL_REBALANCE_DELAY_MS_DEFAULT,
  GROUP_MEMBERS_MAX,
  GROUP_SESSION_TIMEOUT_MS,
  GROUP_SOCKET_GRACE_MS,
  GROUP_SOCKET_LOOK_MS,
  GROUP_SOCKET_SILENCE_MS_MAX,
  OFFSETS_RETENTION_CHECK_MS,
  OFFSETS_RETENTION_MINUTES,
  OFFSETS_RETENTION_MINUTES_DEFAULT,
} from "../../src/model/limits.ts";
import type { Clock } from "../partition/storage.ts";
import type { GroupStore } from "./group-store.ts";
import type { Sessions } from "./sessions.ts";
import type { Timers } from "./timers.ts";

const MINUTE_MS = 60_000;

/** Kafka's settings of groups. */
export interface GroupSettings {
  /** `group.initial.rebalance.delay.ms` */
  readonly initialRebalanceDelayMs: number;
  /** `group.max.size`, `group.consumer.max.size` */
  readonly membersMax: number;
  /** `group.consumer.session.timeout.ms`, `group.consumer.heartbeat.interval.ms` */
  readonly consumerSessionTimeoutMs: number;
  readonly consumerHeartbeatIntervalMs: number;
  /** `offsets.retention.minutes`, `offsets.retention.check.interval.ms` */
  readonly offsetsRetentionMs: number;
  readonly offsetsRetentionCheckMs: number;
  /** How long a member may be without its socket, and a socket without a word; how often to look, awake and by the alarm. */
  readonly socketGraceMs: number;
  readonly socketSilenceMs: number;
  readonly socketLookMs: { readonly awake: number; readonly asleep: number };
}

/** What the state machines of a group work with. */
export interface GroupContext {
  readonly store: GroupStore;
  readonly timers: Timers;
  readonly sessions: Sessions;
  readonly clock: Clock;
  readonly settings: GroupSettings;
  /** 22 characters of base64url that nobody else is given. */
  newId(): string;
  /** Whether the member has a socket. */
  isConnected(memberId: string): boolean;
}

/** A variable that is no number within its bounds counts as not set. */
export function groupSettings(env: Partial<Env>): GroupSettings {
  return {
    initialRebalanceDelayMs: within(
      env.EDGELOG_GROUP_INITIAL_REBALANCE_DELAY_MS,
      GROUP_INITIAL_REBALANCE_DELAY_MS,
      GROUP_INITIAL_REBALANCE_DELAY_MS_DEFAULT,
    ),
    membersMax: GROUP_MEMBERS_MAX,
    consumerSessionTimeoutMs: within(
      env.EDGELOG_GROUP_CONSUMER_SESSION_TIMEOUT_MS,
      GROUP_SESSION_TIMEOUT_MS,
      CONSUMER_GROUP_SESSION_TIMEOUT_MS_DEFAULT,
    ),
    consumerHeartbeatIntervalMs: within(
      env.EDGELOG_GROUP_CONSUMER_HEARTBEAT_INTERVAL_MS,
      CONSUMER_GROUP_HEARTBEAT_INTERVAL_MS,
      CONSUMER_GROUP_HEARTBEAT_INTERVAL_MS_DEFAULT,
    ),
    offsetsRetentionMs:
      MINUTE_MS *
      within(
        env.EDGELOG_OFFSETS_RETENTION_MINUTES,
        OFFSETS_RETENTION_MINUTES,
        OFFSETS_RETENTION_MINUTES_DEFAULT,
      ),
    offsetsRetentionCheckMs: OFFSETS_RETENTION_CHECK_MS,
    socketGraceMs: GROUP_SOCKET_GRACE_MS,
    socketSilenceMs: GROUP_SOCKET_SILENCE_MS_MAX,
    socketLookMs: GROUP_SOCKET_LOOK_MS,
  };
}

function within(
  text: string | undefined,
  { least, most }: { readonly least: number; readonly most: number },
  otherwise: number,
): number {
  const value = Number(text ?? Number.NaN);
  return value >= least && value <= most ? value : otherwise;
}
