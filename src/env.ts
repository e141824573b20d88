import type { Controller } from "../durable-objects/controller/controller.ts";
import type { GroupCoordinator } from "../durable-objects/group/group-coordinator.ts";
import type { PartitionLog } from "../durable-objects/partition/partition-log.ts";
import type { TransactionCoordinator } from "../durable-objects/transaction/transaction-coordinator.ts";

/** The bindings and variables of the Worker, as wrangler.toml declares them. */
export interface Env {
  readonly CONTROLLER: DurableObjectNamespace<Controller>;
  readonly PARTITION: DurableObjectNamespace<PartitionLog>;
  readonly GROUP: DurableObjectNamespace<GroupCoordinator>;
  readonly TRANSACTION: DurableObjectNamespace<TransactionCoordinator>;
  /** The tiered segments. */
  readonly SEGMENTS: R2Bucket;
  /** `"true"`: producing to an unknown topic creates it. */
  readonly EDGELOG_AUTO_CREATE_TOPICS?: string;
  /** Partitions of a topic that does not say how many. */
  readonly EDGELOG_NUM_PARTITIONS?: string;
  /** How long the first rebalance of an empty group waits for more members, in ms (Kafka's `group.initial.rebalance.delay.ms`). */
  readonly EDGELOG_GROUP_INITIAL_REBALANCE_DELAY_MS?: string;
  /**
   * After how long without a heartbeat a member of KIP-848 is out, in ms (Kafka's `group.consumer.session.timeout.ms`;
   * members of the classic protocol say their own).
   */
  readonly EDGELOG_GROUP_CONSUMER_SESSION_TIMEOUT_MS?: string;
  /** How often a member of KIP-848 is to heartbeat, in ms (Kafka's `group.consumer.heartbeat.interval.ms`). */
  readonly EDGELOG_GROUP_CONSUMER_HEARTBEAT_INTERVAL_MS?: string;
  /** How long committed offsets are kept that nobody uses, in minutes (Kafka's `offsets.retention.minutes`). */
  readonly EDGELOG_OFFSETS_RETENTION_MINUTES?: string;
  /** host:port that Kafka clients are told to connect to; several, separated by commas, are as many brokers. */
  readonly EDGELOG_ADVERTISED_LISTENER?: string;
  /** The TCP ports that are open, separated by commas, where there are several: as many virtual brokers. */
  readonly EDGELOG_KAFKA_PORTS?: string;
  /**
   * Origins that browsers may call from, separated by commas; `*` for all; unset: same origin only (and pages on
   * loopback, where EDGELOG_OPEN).
   */
  readonly EDGELOG_ALLOWED_ORIGINS?: string;
  /** Secret. A deployment without it refuses everything but /healthz. */
  readonly EDGELOG_ROOT_TOKEN?: string;
  /** `"true"` only where the listener is bound to loopback (`edgelog serve` sets it): no token is asked for. */
  readonly EDGELOG_OPEN?: string;
}
