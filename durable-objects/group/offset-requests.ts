import { type Failure, failure, isFailure } from "../../src/model/errors.ts";
import { STOP_MEMBERS } from "../../src/model/groups.ts";
import type { TopicId } from "../../src/model/ids.ts";
import { TOPICS_PER_LOOK_UP_MAX } from "../../src/model/limits.ts";
import type { LogStorage } from "../partition/storage.ts";
import type { TransactionOutcome } from "../transaction/rpc.ts";
import { CommitQueue, type CommitResult } from "./commit-queue.ts";
import { commitProblem } from "./requests.ts";
import type {
  CommitOffsetsRequest,
  CommitTransactionOffsetsRequest,
  DeletedPartition,
  FetchedOffset,
  FetchOffsetsRequest,
  OffsetsPage,
  OffsetsPageRequest,
  OffsetsToDelete,
} from "./rpc.ts";
import { TransactionRequests, type TransactionRequestsContext } from "./transaction-requests.ts";

export interface OffsetRequestsContext extends TransactionRequestsContext {
  readonly storage: LogStorage;
  /** Those of these topics that exist. */
  existingTopics(topicIds: readonly TopicId[]): Promise<TopicId[]>;
}

/** What is asked about offsets, by members and by anyone else. */
export class OffsetRequests {
  readonly #around: OffsetRequestsContext;
  readonly #commits: CommitQueue;
  readonly #transactions: TransactionRequests;

  constructor(around: OffsetRequestsContext) {
    this.#around = around;
    this.#commits = new CommitQueue(around.storage, (requests) => this.#write(requests));
    this.#transactions = new TransactionRequests(around);
  }

  /** Writes the commits that wait, so that what comes after a commit also happens after it. */
  flush(): void {
    this.#commits.flush();
  }

  async commit(request: CommitOffsetsRequest): Promise<CommitResult> {
    const { current, registration } = this.#around;
    const problem = current.idProblem() ?? commitProblem(request);
    if (problem !== undefined) return problem;
    if (current.value === undefined && request.generation >= 0) {
      return current.noGroup(request.knowsMemberEpochs ? "GROUP_ID_NOT_FOUND" : "ILLEGAL_GENERATION");
    }
    while (!registration.isOpen) await registration.open();
    const result = await this.#commits.add(request);
    // What fills the group may be of topics that are gone: then there is room for the next commit.
    if (isFull(result)) await this.#forgetDeletedTopics();
    return result;
  }

  #write(requests: readonly CommitOffsetsRequest[]): CommitResult[] {
    const { current, context, offsets, storage } = this.#around;
    return storage.transactionSync(() => {
      // Offsets without a group make a group that only holds offsets.
      const results = requests.map((request) =>
        offsets.commit(current.value ?? current.makeClassic(context), request),
      );
      current.value?.flush();
      return results;
    });
  }

  async commitInTransaction(request: CommitTransactionOffsetsRequest): Promise<CommitResult> {
    const result = await this.#transactions.commit(request);
    if (isFull(result)) await this.#forgetDeletedTopics();
    return result;
  }

  writeMarker(outcome: TransactionOutcome): Promise<Failure | null> {
    return this.#transactions.writeMarker(outcome);
  }

  async fetch(request: FetchOffsetsRequest): Promise<FetchedOffset[] | Failure> {
    const { current, offsets, store } = this.#around;
    const problem = current.idProblem();
    if (problem !== undefined) return problem;
    this.flush();
    store.confirmUniqueness();
    if (current.value !== undefined && request.topics === null) await this.#forgetDeletedTopics();
    const group = current.value;
    if (group === undefined) return [];
    return group.fetchProblem(request) ?? offsets.fetch(request.topics, request.requireStable);
  }

  async page({ after, limit, asStored = false }: OffsetsPageRequest): Promise<OffsetsPage | Failure> {
    const { current, offsets, store } = this.#around;
    const problem = current.idProblem();
    if (problem !== undefined) return problem;
    this.flush();
    store.confirmUniqueness();
    if (current.value !== undefined && after === undefined && !asStored) await this.#forgetDeletedTopics();
    if (current.value === undefined) return current.noGroup("GROUP_ID_NOT_FOUND");
    return { ...current.value.summary(), ...offsets.page(after, limit) };
  }

  async delete(topics: readonly OffsetsToDelete[]): Promise<DeletedPartition[] | Failure> {
    const { change, current, offsets } = this.#around;
    const problem = current.idProblem();
    if (problem !== undefined) return problem;
    return change(() => {
      const group = current.value;
      if (group === undefined) return current.noGroup("GROUP_ID_NOT_FOUND");
      if (!group.mayDeleteOffsets) {
        return failure("NON_EMPTY_GROUP", `the group has members that are not consumers; ${STOP_MEMBERS}`);
      }
      return offsets.delete(group, topics);
    });
  }

  async forgetTopics(topicIds: readonly TopicId[]): Promise<void> {
    const { change, current, offsets } = this.#around;
    change(() => {
      if (current.value !== undefined) offsets.forgetTopics(current.value, topicIds);
    });
  }

  /**
   * Topics are deleted without asking the groups, which would wake all of them. Who asks for a topic's offsets does so by its
   * id, and nobody has a deleted topic's any more: so it is soon enough to ask which topics are left when all offsets are to
   * be shown, or when there is no room for more.
   */
  async #forgetDeletedTopics(): Promise<void> {
    const topicIds = this.#around.offsets.topicIds();
    try {
      const existing = new Set<TopicId>();
      for (let from = 0; from < topicIds.length; from += TOPICS_PER_LOOK_UP_MAX) {
        const asked = topicIds.slice(from, from + TOPICS_PER_LOOK_UP_MAX);
        for (const topicId of await this.#around.existingTopics(asked)) existing.add(topicId);
      }
      const deleted = topicIds.filter((topicId) => !existing.has(topicId));
      if (deleted.length > 0) await this.forgetTopics(deleted);
    } catch (error) {
      console.warn("which topics are deleted could not be asked, the next time will do:", error);
    }
  }
}

function isFull(result: CommitResult): boolean {
  return !isFailure(result) && result.some(({ error }) => error === "INVALID_COMMIT_OFFSET_SIZE");
}
