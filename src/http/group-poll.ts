/** POST /v1/groups/{group}/poll and /commit: a group's member that holds nothing open, see docs/groups.md. */

import { createRoute, z } from "@hono/zod-openapi";
import type { NamedTopicPartitions, OffsetToCommit } from "../../durable-objects/group/rpc.ts";
import { Cluster } from "../cluster/cluster.ts";
import { type PolledBatches, type PollResult, pollGroup } from "../cluster/group-poll.ts";
import { answerBytes, type Hold } from "../cluster/in-flight.ts";
import { decodeBatches } from "../log/decode-batch.ts";
import { EdgelogError, type Failure, failure, isFailure, unwrap } from "../model/errors.ts";
import { ISOLATIONS } from "../model/isolation.ts";
import {
  GROUP_POLL_RECORDS_DEFAULT,
  GROUP_POLL_RECORDS_MAX,
  GROUP_SESSION_TIMEOUT_MS,
  GROUP_SUBSCRIBED_TOPICS_MAX,
  HTTP_OFFSETS_PER_REQUEST_MAX,
  NAME_REGEX_CHARACTERS_MAX,
  OFFSET_METADATA_CHARACTERS_MAX,
  READ_BYTES_DEFAULT,
  READ_BYTES_MAX,
  READ_WAIT_MS_MAX,
} from "../model/limits.ts";
import { noSuchPartition } from "../model/topic.ts";
import { isOwnMemberId, MEMBER_ID_FORM } from "../subscribe/group-protocol.ts";
import { recordToJsonText } from "../subscribe/record-json.ts";
import { JSON_TYPE, jsonBody } from "./body.ts";
import { ConsumedRecord } from "./consume.ts";
import { newRoutes } from "./context.ts";
import { errorResponses } from "./errors.ts";
import { GroupParams } from "./group-schemas.ts";
import { documentedAnswer, documentedBody, NoQuery, Offset, PartitionIndex, TopicName } from "./schemas.ts";
import { commaSeparated, textStream } from "./text-stream.ts";

const MemberId = z.string().refine(isOwnMemberId, MEMBER_ID_FORM);
const { least, most } = GROUP_SESSION_TIMEOUT_MS;

const Poll = z
  .strictObject({
    topics: z.array(TopicName).min(1).max(GROUP_SUBSCRIBED_TOPICS_MAX).optional(),
    topic_pattern: z
      .string()
      .min(1)
      .max(NAME_REGEX_CHARACTERS_MAX)
      .optional()
      .openapi({ description: "RE2's syntax; matches whole names." }),
    member_id: MemberId.optional().openapi({
      description: "Of the answer before, or the member's own; absent: it is given one.",
    }),
    received: z.string().max(100).optional().openapi({
      description:
        "`poll_id` of the last answer that has come: this poll goes on after its records. Absent: after what is committed.",
    }),
    from: z.enum(["earliest", "latest"]).optional().openapi({
      description:
        "Where to begin with a partition of which nothing is committed, or what is committed has been removed; `latest` if absent.",
    }),
    isolation: z.enum(ISOLATIONS).optional().openapi({
      description:
        "`read_committed`: no records of transactions that are open or aborted, and nothing behind the first open one; an answer may hold no record though its `offsets` have moved on. `read_uncommitted` if absent.",
    }),
    max_records: z
      .int()
      .min(1)
      .max(GROUP_POLL_RECORDS_MAX)
      .optional()
      .openapi({
        description: `${GROUP_POLL_RECORDS_DEFAULT} if absent.`,
      }),
    max_bytes: z
      .int()
      .min(1)
      .max(READ_BYTES_MAX)
      .optional()
      .openapi({
        description: `Of batches as they are stored; ${READ_BYTES_DEFAULT} if absent.`,
      }),
    max_wait_ms: z.int().min(0).max(READ_WAIT_MS_MAX).optional().openapi({
      description: "How long to wait where there is nothing; 0 if absent.",
    }),
    session_timeout_ms: z.int().min(least).max(most).optional().openapi({
      description: "The next poll must come within it, or the member is one no more; 45,000 if absent.",
    }),
    client_id: z.string().max(1_000).optional(),
    value: z.enum(["json"]).optional().openapi({
      description: "`json`: values that are JSON texts appear as what they say, others as without it.",
    }),
  })
  .refine(({ topics, topic_pattern }) => topics !== undefined || topic_pattern !== undefined, {
    message: "say what the member subscribes to: topics, topic_pattern or both",
  })
  .openapi("GroupPoll");

const PolledOffset = z
  .strictObject({
    topic: TopicName,
    topic_id: z.string().max(100).optional().openapi({
      description: "The topic must have this id: one made anew under its name has offsets of its own.",
    }),
    partition: PartitionIndex,
    offset: Offset.min(0).openapi({ description: "Of the record to be read next." }),
    metadata: z.string().max(OFFSET_METADATA_CHARACTERS_MAX).optional(),
  })
  .openapi("PolledOffset");

const Partitions = z.array(z.object({ topic: z.string(), partitions: z.array(PartitionIndex) }));

const PollAnswer = z
  .object({
    member_id: z.string(),
    member_epoch: z.int().openapi({ description: "For the commit." }),
    poll_id: z.string().openapi({ description: "`received` of the next poll." }),
    records: z.array(ConsumedRecord.extend({ topic: TopicName, partition: PartitionIndex })),
    offsets: z.array(PolledOffset).openapi({
      description: "What to commit when all of these records have been processed.",
    }),
    assignment: Partitions.openapi({ description: "What the member has." }),
    revoked: Partitions.openapi({
      description: "What the next poll gives up, without records from now on: commit before it.",
    }),
    missing_topics: z.array(z.string()).optional().openapi({
      description:
        "Those of `topics` that are not there (yet), as far as the group's coordinator knows; absent: all are. The member has them once they are created.",
    }),
  })
  .openapi("GroupPollAnswer");

const Commit = z
  .strictObject({
    member_id: MemberId,
    member_epoch: z.int().min(1),
    offsets: z.array(PolledOffset).min(1).max(HTTP_OFFSETS_PER_REQUEST_MAX),
  })
  .openapi("GroupCommit");

const SESSION_TIMEOUT_MS_DEFAULT = 45_000;
const tags = ["groups"];

export const groupPollRoutes = newRoutes();
groupPollRoutes.openAPIRegistry.register("GroupPoll", Poll);
groupPollRoutes.openAPIRegistry.register("GroupCommit", Commit);

groupPollRoutes.openapi(
  createRoute({
    method: "post",
    path: "/v1/groups/{group}/poll",
    tags,
    summary: "Be a member of a group for as long as you poll, and get its records",
    description: "Any Worker anywhere will do: nothing of the member is held but in its group.",
    request: { params: GroupParams, query: NoQuery, body: documentedBody("GroupPoll") },
    responses: {
      200: documentedAnswer({
        description: "Records; none where there are none.",
        content: { [JSON_TYPE]: { schema: PollAnswer } },
      }),
      ...errorResponses(
        "INVALID_GROUP_ID",
        "INVALID_TOPIC_EXCEPTION",
        "INVALID_REGULAR_EXPRESSION",
        "INCONSISTENT_GROUP_PROTOCOL",
        "GROUP_MAX_SIZE_REACHED",
        "UNKNOWN_MEMBER_ID",
        "STALE_MEMBER_EPOCH",
        "COORDINATOR_NOT_AVAILABLE",
        "KAFKA_STORAGE_ERROR",
        "UNSUPPORTED_MEDIA_TYPE",
        "CONTENT_TOO_LARGE",
        "THROTTLING_QUOTA_EXCEEDED",
      ),
    },
  }),
  async (c) => {
    const poll = await jsonBody(c.req.raw, Poll);
    const cluster = new Cluster(c.env);
    const result = unwrap(
      await pollGroup(cluster, cluster.group(c.req.valid("param").group), {
        member: {
          memberId: poll.member_id ?? "",
          subscribedTopicNames: poll.topics ?? [],
          subscribedTopicRegex: poll.topic_pattern ?? "",
          sessionTimeoutMs: poll.session_timeout_ms ?? SESSION_TIMEOUT_MS_DEFAULT,
          received: poll.received ?? null,
          clientId: poll.client_id ?? "edgelog",
          clientHost: c.req.header("cf-connecting-ip") ?? "",
        },
        from: poll.from ?? "latest",
        isolation: poll.isolation ?? "read_uncommitted",
        maxRecords: poll.max_records ?? GROUP_POLL_RECORDS_DEFAULT,
        maxBytes: answerBytes.share(poll.max_bytes ?? READ_BYTES_DEFAULT),
        maxWaitMs: poll.max_wait_ms ?? 0,
        signal: c.req.raw.signal,
      }),
    );
    const bytes = result.found.reduce((sum, { batches }) => sum + batches.length, 0);
    const hold = answerBytes.hold();
    hold.grow(bytes);
    return new Response(textStream(answerText(result, poll.value, hold), hold), {
      headers: { "content-type": JSON_TYPE, "cache-control": "no-store" },
    });
  },
);

groupPollRoutes.openapi(
  createRoute({
    method: "post",
    path: "/v1/groups/{group}/commit",
    tags,
    summary: "Commit what a member has processed",
    description: "The `offsets` of a poll's answer, or others; all in one transaction.",
    request: { params: GroupParams, query: NoQuery, body: documentedBody("GroupCommit") },
    responses: {
      204: { description: "They are durable." },
      ...errorResponses(
        "INVALID_GROUP_ID",
        "UNKNOWN_TOPIC_OR_PARTITION",
        "UNKNOWN_TOPIC_ID",
        "GROUP_ID_NOT_FOUND",
        "UNKNOWN_MEMBER_ID",
        "STALE_MEMBER_EPOCH",
        "INVALID_COMMIT_OFFSET_SIZE",
        "COORDINATOR_NOT_AVAILABLE",
        "KAFKA_STORAGE_ERROR",
        "UNSUPPORTED_MEDIA_TYPE",
        "CONTENT_TOO_LARGE",
        "THROTTLING_QUOTA_EXCEEDED",
      ),
    },
  }),
  async (c) => {
    const { member_id, member_epoch, offsets } = await jsonBody(c.req.raw, Commit);
    const cluster = new Cluster(c.env);
    const group = cluster.group(c.req.valid("param").group);
    const toCommit = await Promise.all(
      offsets.map(async (offset) => unwrap(await resolved(cluster, offset))),
    );
    const committed = unwrap(
      await group.commitOffsets({
        memberId: member_id,
        instanceId: null,
        generation: member_epoch,
        knowsMemberEpochs: true,
        offsets: toCommit,
      }),
    );
    const refused = committed.find(({ error }) => error !== null);
    if (refused?.error != null) throw new EdgelogError(refused.error);
    return c.body(null, 204);
  },
);

groupPollRoutes.openapi(
  createRoute({
    method: "delete",
    path: "/v1/groups/{group}/members/{member}",
    tags,
    summary: "Leave a group, or remove a member from it",
    description: "Its partitions go to the others at once. One that polls again, or reconnects, joins anew.",
    request: {
      params: GroupParams.extend({ member: z.string().max(1_000).openapi({ example: "tab-1" }) }),
      query: NoQuery,
    },
    responses: {
      204: { description: "It is a member no more." },
      ...errorResponses("INVALID_GROUP_ID", "UNKNOWN_MEMBER_ID", "COORDINATOR_NOT_AVAILABLE"),
    },
  }),
  async (c) => {
    const { group, member } = c.req.valid("param");
    const problem = await new Cluster(c.env).group(group).removeMember(member);
    if (problem !== null) throw EdgelogError.from(problem);
    return c.body(null, 204);
  },
);

async function resolved(
  cluster: Cluster,
  { topic: name, topic_id, partition, offset, metadata = "" }: z.infer<typeof PolledOffset>,
): Promise<OffsetToCommit | Failure> {
  const topic = await cluster.topic(topic_id === undefined ? name : { id: topic_id });
  if (isFailure(topic)) return topic;
  if (topic.name !== name) {
    return failure("UNKNOWN_TOPIC_ID", `the topic with this id is ${topic.name}, not ${name}`);
  }
  if (partition >= topic.partitions) return noSuchPartition(topic, partition);
  return { topicId: topic.id, topic: topic.name, partition, offset, leaderEpoch: -1, metadata };
}

function* answerText({ turn, found }: PollResult, value: "json" | undefined, hold: Hold): Generator<string> {
  const { memberId, memberEpoch, pollId, assigned, revoke, missingTopics } = turn;
  const begin = { member_id: memberId, member_epoch: memberEpoch, poll_id: pollId };
  yield `${JSON.stringify(begin).slice(0, -1)},"records":[`;
  yield* commaSeparated(recordTexts(found, value, hold));
  const end = {
    offsets: found.map(({ topic, topicId, partition, next }) => {
      return { topic, topic_id: topicId, partition, offset: next };
    }),
    assignment: byTopic(assigned),
    revoked: revoke.map(({ topic, partitions }: NamedTopicPartitions) => ({ topic, partitions })),
    ...(missingTopics.length > 0 && { missing_topics: missingTopics }),
  };
  yield `],${JSON.stringify(end).slice(1)}\n`;
}

/** A compressed batch is held decompressed while its records are sent, too. */
function* recordTexts(
  found: readonly PolledBatches[],
  value: "json" | undefined,
  hold: Hold,
): Generator<string> {
  let decompressed = 0;
  for (const { topic, partition, batches, from, next } of found) {
    const place = `{"topic":${JSON.stringify(topic)},"partition":${partition},`;
    const records = decodeBatches(batches, (bytes) => {
      hold.shrink(decompressed);
      hold.grow(bytes);
      decompressed = bytes;
    });
    for (const record of records) {
      if (record.offset < from) continue;
      if (record.offset >= next) break;
      yield place + recordToJsonText(record, { value }).slice(1);
    }
  }
}

function byTopic(partitions: readonly { topic: string; partition: number }[]) {
  const topics = Map.groupBy(partitions, ({ topic }) => topic);
  return [...topics].map(([topic, of]) => ({ topic, partitions: of.map(({ partition }) => partition) }));
}
