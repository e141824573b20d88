import type { FetchedOffset } from "../../../durable-objects/group/rpc.ts";
import { mapAtOnce } from "../../model/at-once.ts";
import { errorRow, type Failure, failure, isFailure } from "../../model/errors.ts";
import { GROUPS_ASKED_AT_ONCE, KAFKA_PARTITIONS_AT_ONCE } from "../../model/limits.ts";
import type { Topic } from "../../model/topic.ts";
import { errorCodeOf } from "../error-codes.ts";
import { groupOf } from "../groups.ts";
import { type Call, handler } from "../handler.ts";
import { offsetFetchApi } from "../messages/offset-fetch.ts";
import { ZERO_UUID } from "../schema.ts";

const ERRORS_OF_GROUPS_VERSION = 2;
const GROUPS_VERSION = 8;
const TOPIC_IDS_VERSION = 10;

interface AskedTopic {
  readonly name: string;
  readonly topicId: string;
  readonly partitionIndexes: readonly number[];
}

interface AskedGroup {
  readonly groupId: string;
  readonly memberId: string | null;
  readonly memberEpoch: number;
  /** null: all that there are. */
  readonly topics: readonly AskedTopic[] | null;
}

/** What is not committed is -1, also of a group or a topic that does not exist. */
export const offsetFetch = handler(offsetFetchApi, async (request, call) => {
  if (call.version >= GROUPS_VERSION) {
    return {
      groups: await mapAtOnce(request.groups, GROUPS_ASKED_AT_ONCE, (asked) =>
        fetchGroup(asked, request.requireStable, call),
      ),
    };
  }
  const topics = request.topics?.map((topic) => ({ ...topic, topicId: ZERO_UUID })) ?? null;
  const asked = { groupId: request.groupId, memberId: null, memberEpoch: -1, topics };
  const { errorCode, topics: found } = await fetchGroup(asked, request.requireStable, call);
  if (call.version >= ERRORS_OF_GROUPS_VERSION || errorCode === 0) return { errorCode, topics: found };
  // Before a group could have an error of its own, each of its partitions had it.
  const refused = (topics ?? []).map(({ name, partitionIndexes }) => ({
    name,
    partitions: partitionIndexes.map((partitionIndex) => ({ ...nothing(partitionIndex), errorCode })),
  }));
  return { topics: refused };
});

async function fetchGroup(asked: AskedGroup, requireStable: boolean, call: Call) {
  const { groupId, memberId, memberEpoch } = asked;
  const topics =
    asked.topics === null
      ? null
      : await mapAtOnce(asked.topics, KAFKA_PARTITIONS_AT_ONCE, async (topic) => ({
          asked: topic,
          topic: await topicOf(topic, call),
        }));
  const known = topics?.flatMap(({ asked: { partitionIndexes }, topic }) =>
    isFailure(topic) ? [] : { topicId: topic.id, partitions: partitionIndexes },
  );
  const offsets = await groupOf(call.session, groupId).fetchOffsets({
    memberId,
    memberEpoch,
    topics: known ?? null,
    requireStable,
  });
  if (isFailure(offsets)) return { groupId, errorCode: errorCodeOf(offsets), topics: [] };
  if (topics === null) return { groupId, errorCode: 0, topics: byTopic(offsets) };
  const found = new Map(offsets.map((offset) => [`${offset.topicId}/${offset.partition}`, offset]));
  return {
    groupId,
    errorCode: 0,
    topics: topics.map(({ asked: { name, topicId, partitionIndexes }, topic }) => ({
      name,
      topicId,
      partitions: partitionIndexes.map((partitionIndex) => {
        if (isFailure(topic)) return { ...nothing(partitionIndex), errorCode: unknownTopicCode(topic) };
        const offset = found.get(`${topic.id}/${partitionIndex}`);
        return offset === undefined ? nothing(partitionIndex) : committed(offset);
      }),
    })),
  };
}

function topicOf({ name, topicId }: AskedTopic, { version, session }: Call): Promise<Topic | Failure> {
  return session.cluster.topic(version >= TOPIC_IDS_VERSION ? { id: topicId } : name);
}

/** A topic that is asked for by name may be unknown: it has no offsets. */
function unknownTopicCode(refused: Failure): number {
  if (refused.error === "UNKNOWN_TOPIC_OR_PARTITION") return 0;
  if (refused.error === "UNKNOWN_TOPIC_ID") return errorRow("UNKNOWN_TOPIC_ID").code;
  return errorCodeOf(failure("COORDINATOR_LOAD_IN_PROGRESS"));
}

function byTopic(offsets: readonly FetchedOffset[]) {
  const topics = Map.groupBy(offsets, ({ topicId }) => topicId);
  return [...topics].map(([topicId, ofTopic]) => ({
    name: ofTopic[0]?.topic ?? "",
    topicId,
    partitions: ofTopic.map(committed),
  }));
}

function committed({ partition, offset, leaderEpoch, metadata, error }: FetchedOffset) {
  return {
    partitionIndex: partition,
    committedOffset: offset,
    committedLeaderEpoch: leaderEpoch,
    metadata,
    errorCode: error === undefined ? 0 : errorRow(error).code,
  };
}

function nothing(partitionIndex: number) {
  return { partitionIndex, committedOffset: -1, committedLeaderEpoch: -1, metadata: "", errorCode: 0 };
}
