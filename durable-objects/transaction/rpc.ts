/**
 * What the coordinator of a transactional id can be asked (KIP-98, KIP-360, KIP-890), and what it tells those who take
 * part in its transactions. Everything here crosses an RPC: plain values, refusals as {@link Failure} values.
 *
 * A transaction is written by leaders and by group coordinators. Each asks the coordinator before its first write for a
 * transaction ({@link TransactionRpc.join}), and is told in the end how it has ended ({@link TransactionOutcome}). The
 * coordinator's clock orders both: of one transactional id, no two of its times are the same, and each is later than those
 * before it. So what has been on its way for too long is told from what is meant for the transaction of now.
 */

import type { Failure } from "../../src/model/errors.ts";
import type { TopicId } from "../../src/model/ids.ts";

/** A producer at one time of its life; a higher epoch fences the lower ones. */
export interface ProducerIdentity {
  readonly producerId: number;
  readonly producerEpoch: number;
}

export interface InitProducerIdRequest {
  /** A transaction that takes longer is aborted (Kafka's `transaction.timeout.ms`). */
  readonly transactionTimeoutMs: number;
  /** What the producer was, if it goes on after an error (KIP-360); null: it begins. */
  readonly current: ProducerIdentity | null;
}

export interface PartitionsOfTopic {
  readonly topicId: TopicId;
  readonly partitions: readonly number[];
}

export interface AddPartitionsRequest extends ProducerIdentity {
  readonly topics: readonly PartitionsOfTopic[];
}

export interface AddGroupRequest extends ProducerIdentity {
  readonly groupId: string;
}

/** Who writes for a transaction. */
export type Participant =
  | { readonly kind: "partition"; readonly topicId: TopicId; readonly partition: number }
  | { readonly kind: "group"; readonly groupId: string };

export interface JoinTransactionRequest extends ProducerIdentity {
  readonly participant: Participant;
  /** True: it becomes part of the transaction (KIP-890's second part); false: the producer must have added it. */
  readonly adds: boolean;
}

export interface JoinedTransaction {
  /** When the transaction began, by the coordinator's clock. */
  readonly startedAtMs: number;
}

export interface EndTransactionRequest extends ProducerIdentity {
  readonly committed: boolean;
  /** The producer goes on with the epoch, or the id, that the answer brings (KIP-890; EndTxn from version 5 on). */
  readonly bumpsEpoch: boolean;
}

/** How a transaction has ended, as those who took part in it are told: what Kafka's WriteTxnMarkers says. */
export interface TransactionOutcome extends ProducerIdentity {
  readonly committed: boolean;
  /** When that was decided, by the coordinator's clock. */
  readonly decidedAtMs: number;
}

/** Kafka's names; a transactional id whose coordinator knows nothing of it has no state. */
export type TransactionState =
  | "Empty"
  | "Ongoing"
  | "PrepareCommit"
  | "PrepareAbort"
  | "CompleteCommit"
  | "CompleteAbort";

export interface TransactionDescription extends ProducerIdentity {
  readonly state: TransactionState;
  readonly transactionTimeoutMs: number;
  /** -1: there is none under way. */
  readonly startedAtMs: number;
  readonly topics: readonly PartitionsOfTopic[];
  readonly groupIds: readonly string[];
}

/**
 * The RPC methods of the Durable Object class `TransactionCoordinator`; the object's name is the transactional id.
 *
 * What all of them may answer: INVALID_PRODUCER_ID_MAPPING (the transactional id is unknown or has another producer id),
 * PRODUCER_FENCED (a newer epoch has taken over), CONCURRENT_TRANSACTIONS (the last transaction is still being completed;
 * retry).
 */
export interface TransactionRpc {
  /** INVALID_TRANSACTION_TIMEOUT. A transaction of the producer before is aborted first: CONCURRENT_TRANSACTIONS. */
  initProducerId(request: InitProducerIdRequest): Promise<ProducerIdentity | Failure>;
  /** All of them or none. null: they are part of the transaction, which begins if there was none. */
  addPartitions(request: AddPartitionsRequest): Promise<Failure | null>;
  addGroup(request: AddGroupRequest): Promise<Failure | null>;
  /** For leaders and group coordinators. TRANSACTION_ABORTABLE: the participant is not part of the transaction. */
  join(request: JoinTransactionRequest): Promise<JoinedTransaction | Failure>;
  /** Answered when all who took part have been told, or that takes too long. INVALID_TXN_STATE. */
  endTransaction(request: EndTransactionRequest): Promise<ProducerIdentity | Failure>;
  /** TRANSACTIONAL_ID_NOT_FOUND */
  describe(): Promise<TransactionDescription | Failure>;
}
