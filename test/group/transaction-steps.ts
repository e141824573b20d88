import type {
  CommitTransactionOffsetsRequest,
  FetchedOffset,
  OffsetToCommit,
} from "../../durable-objects/group/rpc.ts";
import type { TransactionOutcome } from "../../durable-objects/transaction/rpc.ts";
import { ok } from "../cluster/results.ts";
import { commitRequest } from "./classic-requests.ts";
import type { GroupWorld } from "./group-world.ts";

export function transactionalCommit(
  {
    transactionalId,
    producerId,
    producerEpoch,
  }: {
    readonly transactionalId: string;
    readonly producerId: number;
    readonly producerEpoch: number;
  },
  request: Partial<CommitTransactionOffsetsRequest>,
  ...offsets: Partial<OffsetToCommit>[]
): CommitTransactionOffsetsRequest {
  const { memberId, instanceId, generation, offsets: all } = commitRequest({}, ...offsets);
  return {
    transactionalId,
    producerId,
    producerEpoch,
    adds: true,
    memberId,
    instanceId,
    generation,
    offsets: all,
    ...request,
  };
}

/** A TxnOffsetCommit of the producer, as it is now. */
export function commitIn(
  world: GroupWorld,
  transactionalId: string,
  request: Partial<CommitTransactionOffsetsRequest>,
  ...offsets: Partial<OffsetToCommit>[]
) {
  const commit = transactionalCommit(world.transactions.of(transactionalId), request, ...offsets);
  return world.ask((group) => group.commitTransactionOffsets(commit));
}

export function tell(world: GroupWorld, outcome: TransactionOutcome) {
  return world.ask((group) => group.writeTransactionMarker(outcome));
}

/** The producer's transaction ends, and the group hears of it. */
export async function end(world: GroupWorld, transactionalId: string, committed: boolean): Promise<void> {
  const told = await tell(world, world.transactions.of(transactionalId).end(committed));
  if (told !== null) throw new Error(`the outcome was refused: ${told.message}`);
}

/** topic-partition → the offset, of all topics; `"unstable"` where that is told. */
export async function fetched(
  world: GroupWorld,
  requireStable = false,
): Promise<Record<string, number | "unstable">> {
  const all = { memberId: null, memberEpoch: -1, topics: null, requireStable };
  const offsets: FetchedOffset[] = ok(await world.ask((group) => group.fetchOffsets(all)));
  return Object.fromEntries(
    offsets.map(({ topic, partition, offset, error }) => [
      `${topic}-${partition}`,
      error === undefined ? offset : "unstable",
    ]),
  );
}
