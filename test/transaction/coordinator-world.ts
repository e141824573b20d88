import { Coordinator } from "../../durable-objects/transaction/coordinator.ts";
import type { TransactionOutcome } from "../../durable-objects/transaction/rpc.ts";
import type { Failure } from "../../src/model/errors.ts";
import { SqliteStorage } from "../partition/sqlite-storage.ts";

/** A coordinator, a clock that the test moves, and those who take part in its transactions. */
export class CoordinatorWorld {
  readonly storage = new SqliteStorage();
  /** Who was told what, in order: `topic/partition` or the group. */
  readonly told: { readonly who: string; readonly outcome: TransactionOutcome }[] = [];
  nowMs = 1_000;
  /** By the Controller. */
  isListed = false;
  /** While the Controller strikes it out. */
  closing = async () => {
    this.isListed = false;
  };
  /** What those who are told answer. */
  answer: (who: string) => Promise<Failure | null> = async () => null;
  #producerIds = 100;
  coordinator = this.#wake();

  /** As after an eviction, or a kill: memory is gone. */
  wake(): void {
    this.coordinator = this.#wake();
  }

  /** What the alarm does once its time has come. */
  async ring(): Promise<void> {
    this.nowMs = Math.max(this.nowMs, this.storage.alarmAtMs ?? this.nowMs);
    await this.coordinator.runDue();
    this.coordinator.timers.rearm(null);
  }

  #wake(): Coordinator {
    const tell = (who: string, outcome: TransactionOutcome) => {
      this.told.push({ who, outcome });
      return this.answer(who);
    };
    const coordinator = new Coordinator("id", {
      storage: this.storage,
      clock: { now: () => this.nowMs },
      openTransactionalId: async () => {
        this.isListed = true;
        return { first: this.#producerIds++, count: 1 };
      },
      closeTransactionalId: () => this.closing(),
      tellPartition: (topicId, partition, outcome) => tell(`${topicId}/${partition}`, outcome),
      tellGroup: (groupId, outcome) => tell(groupId, outcome),
    });
    coordinator.timers.rearm(this.storage.alarmAtMs);
    return coordinator;
  }
}
