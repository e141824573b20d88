/** GET /v1/topics/{topic}/partitions/{partition}: where its log begins and ends, and where it lies. */

import { createRoute, z } from "@hono/zod-openapi";
import { Cluster } from "../cluster/cluster.ts";
import { unwrap } from "../model/errors.ts";
import { newRoutes } from "./context.ts";
import { errorResponses } from "./errors.ts";
import { json, NoQuery, Offset, PartitionParams } from "./schemas.ts";

const PartitionAnswer = z
  .object({
    topic: z.string(),
    partition: z.int(),
    leader_epoch: z.int(),
    log_start_offset: Offset.openapi({ description: "The first offset that is kept." }),
    high_watermark: Offset.openapi({ description: "The offset after the last record: the log end." }),
    last_stable_offset: Offset.openapi({ description: "What a read_committed reader may see ends here." }),
    earliest_local_offset: Offset.openapi({ description: "Records before it are read from R2." }),
    local_segments: z.int(),
    local_bytes: z.int(),
    remote_segments: z.int(),
    remote_bytes: z.int(),
    subscribers: z.int().openapi({ description: "Sockets that the leader serves." }),
  })
  .openapi("Partition");

export const partitionRoutes = newRoutes().openapi(
  createRoute({
    method: "get",
    path: "/v1/topics/{topic}/partitions/{partition}",
    tags: ["partitions"],
    summary: "Describe a partition",
    request: { params: PartitionParams, query: NoQuery },
    responses: {
      200: { description: "The partition.", content: json(PartitionAnswer) },
      ...errorResponses("UNKNOWN_TOPIC_OR_PARTITION", "INVALID_TOPIC_EXCEPTION", "KAFKA_STORAGE_ERROR"),
    },
  }),
  async (c) => {
    const { topic, partition } = c.req.valid("param");
    const described = unwrap(await new Cluster(c.env).describePartition(topic, partition));
    return c.json(
      {
        topic,
        partition,
        leader_epoch: described.leaderEpoch,
        log_start_offset: described.logStartOffset,
        high_watermark: described.highWatermark,
        last_stable_offset: described.lastStableOffset,
        earliest_local_offset: described.earliestLocalOffset,
        local_segments: described.localSegments,
        local_bytes: described.localBytes,
        remote_segments: described.remoteSegments,
        remote_bytes: described.remoteBytes,
        subscribers: described.subscribers,
      },
      200,
    );
  },
);
