import type {
  JoinedTransaction,
  JoinTransactionRequest,
  ProducerIdentity,
  TransactionOutcome,
} from "../../durable-objects/transaction/rpc.ts";
import { type Failure, failure } from "../../src/model/errors.ts";
import { turn } from "./group-world.ts";

/** The coordinator of one transactional id, as a group sees it: its clock never stands still, and no time comes twice. */
export class SimulatedTransaction implements ProducerIdentity {
  readonly transactionalId: string;
  readonly producerId: number;
  producerEpoch = 0;
  #clockMs = 0;
  #startedAtMs: number | undefined;
  /** Everything that the group has been told or is to be told, first things first. */
  readonly outcomes: TransactionOutcome[] = [];

  constructor(transactionalId: string, producerId: number) {
    this.transactionalId = transactionalId;
    this.producerId = producerId;
  }

  get isOpen(): boolean {
    return this.#startedAtMs !== undefined;
  }

  join({ producerId, producerEpoch, adds }: JoinTransactionRequest): JoinedTransaction | Failure {
    if (producerId !== this.producerId) return failure("INVALID_PRODUCER_ID_MAPPING");
    if (producerEpoch !== this.producerEpoch) return failure("PRODUCER_FENCED");
    if (this.#startedAtMs === undefined) {
      if (!adds) return failure("TRANSACTION_ABORTABLE");
      this.begin();
    }
    return { startedAtMs: this.#startedAtMs ?? 0 };
  }

  /** The group is part of it. */
  begin(): void {
    this.#startedAtMs = ++this.#clockMs;
  }

  /** What the group is to be told. The producer goes on with the next epoch (KIP-890). */
  end(committed: boolean): TransactionOutcome {
    this.producerEpoch += 1;
    this.#startedAtMs = undefined;
    const { producerEpoch, producerId } = this;
    const outcome = { producerId, producerEpoch, committed, decidedAtMs: ++this.#clockMs };
    this.outcomes.push(outcome);
    return outcome;
  }
}

/** The coordinators of all transactional ids. */
export class SimulatedTransactions {
  readonly #groupId: string;
  readonly #transactions = new Map<string, SimulatedTransaction>();
  /** How often they were asked. */
  joins = 0;
  isDown = false;
  /** How long an answer takes that nobody holds. */
  turnsToAnswer = 1;
  /** Answers wait for it. */
  held: Promise<void> | undefined;

  constructor(groupId: string) {
    this.#groupId = groupId;
  }

  of(transactionalId: string): SimulatedTransaction {
    const known = this.#transactions.get(transactionalId);
    if (known !== undefined) return known;
    const transaction = new SimulatedTransaction(transactionalId, 1_000 + this.#transactions.size);
    this.#transactions.set(transactionalId, transaction);
    return transaction;
  }

  async join(transactionalId: string, request: JoinTransactionRequest): Promise<JoinedTransaction | Failure> {
    await turn();
    if (this.isDown) throw new Error("the coordinator is down");
    this.joins += 1;
    const { participant } = request;
    if (participant.kind !== "group" || participant.groupId !== this.#groupId) {
      throw new Error(`somebody else takes part: ${JSON.stringify(participant)}`);
    }
    const answer = this.of(transactionalId).join(request);
    for (let turns = 0; turns < this.turnsToAnswer; turns++) await turn();
    await this.held;
    return answer;
  }
}
