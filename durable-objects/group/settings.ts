import type { Clock } from "../partition/storage.ts";
import type { GroupStore } from "./group-store.ts";
import type { Sessions } from "./sessions.ts";
import type { Timers } from "./timers.ts";

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
}
