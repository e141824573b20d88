import { commitOffsets } from "../commit-offsets.ts";
import { groupOf } from "../groups.ts";
import { handler } from "../handler.ts";
import { offsetCommitApi } from "../messages/offset-commit.ts";

const MEMBER_EPOCHS_VERSION = 9;
const TOPIC_IDS_VERSION = 10;

export const offsetCommit = handler(offsetCommitApi, async (request, { version, session }) => ({
  topics: await commitOffsets({
    session,
    topics: request.topics,
    isById: version >= TOPIC_IDS_VERSION,
    commit: (offsets) =>
      groupOf(session, request.groupId).commitOffsets({
        memberId: request.memberId,
        instanceId: request.groupInstanceId,
        generation: request.generationIdOrMemberEpoch,
        knowsMemberEpochs: version >= MEMBER_EPOCHS_VERSION,
        ...(request.retentionTimeMs >= 0 && { retentionMs: request.retentionTimeMs }),
        offsets,
      }),
  }),
}));
