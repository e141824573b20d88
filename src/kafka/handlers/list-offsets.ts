import {
  EARLIEST_LOCAL_TIMESTAMP,
  EARLIEST_TIMESTAMP,
  LATEST_TIERED_TIMESTAMP,
  LATEST_TIMESTAMP,
  MAX_TIMESTAMP,
} from "../../../durable-objects/partition/rpc.ts";
import type { ListedOffset } from "../../cluster/cluster.ts";
import { type Failure, failure, isFailure } from "../../model/errors.ts";
import { errorCodeOf } from "../error-codes.ts";
import { type Call, handler } from "../handler.ts";
import { listOffsetsApi } from "../messages/list-offsets.ts";
import { perPartition } from "../per-partition.ts";
import type { RequestOf } from "../schema.ts";

type Request = RequestOf<typeof listOffsetsApi>;
type AskedPartition = Request["topics"][number]["partitions"][number];

const READ_COMMITTED = 1;
/** The first offset that is not yet in R2 (KIP-1023). */
const EARLIEST_PENDING_UPLOAD_TIMESTAMP = -6;

/** Since which version each special timestamp may be asked for. */
const FIRST_VERSIONS: ReadonlyMap<number, number> = new Map([
  [LATEST_TIMESTAMP, 0],
  [EARLIEST_TIMESTAMP, 0],
  [MAX_TIMESTAMP, 7],
  [EARLIEST_LOCAL_TIMESTAMP, 8],
  [LATEST_TIERED_TIMESTAMP, 9],
  [EARLIEST_PENDING_UPLOAD_TIMESTAMP, 11],
]);

export const listOffsets = handler(listOffsetsApi, async ({ topics, isolationLevel }, call) => {
  const found = await perPartition(
    topics,
    ({ partitions }) => partitions,
    async ({ name }, asked) => {
      const { partitionIndex } = asked;
      const result = await find(name, asked, isolationLevel, call);
      if (isFailure(result)) return { partitionIndex, errorCode: errorCodeOf(result) };
      return { partitionIndex, errorCode: 0, ...result };
    },
  );
  return { topics: topics.map(({ name }, index) => ({ name, partitions: found[index] ?? [] })) };
});

async function find(
  name: string,
  { partitionIndex, currentLeaderEpoch, timestamp }: AskedPartition,
  isolationLevel: number,
  { version, session: { cluster } }: Call,
): Promise<ListedOffset | Failure> {
  if (timestamp < 0 && !((FIRST_VERSIONS.get(timestamp) ?? Number.POSITIVE_INFINITY) <= version)) {
    return failure("UNSUPPORTED_VERSION", `the timestamp ${timestamp} has no meaning in version ${version}`);
  }
  const list = (sought: number) =>
    cluster.listOffsets(
      name,
      partitionIndex,
      sought,
      isolationLevel === READ_COMMITTED ? "read_committed" : "read_uncommitted",
    );
  const isPendingUpload = timestamp === EARLIEST_PENDING_UPLOAD_TIMESTAMP;
  const found = await list(isPendingUpload ? LATEST_TIERED_TIMESTAMP : timestamp);
  if (isFailure(found)) return found;
  if (currentLeaderEpoch >= 0 && currentLeaderEpoch !== found.leaderEpoch) {
    return failure(
      currentLeaderEpoch < found.leaderEpoch ? "FENCED_LEADER_EPOCH" : "UNKNOWN_LEADER_EPOCH",
      `the leader epoch is ${found.leaderEpoch}, not ${currentLeaderEpoch}`,
    );
  }
  if (!isPendingUpload) return found;
  return found.offset < 0 ? list(EARLIEST_TIMESTAMP) : { ...found, offset: found.offset + 1, timestamp: -1 };
}
