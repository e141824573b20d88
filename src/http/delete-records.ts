/** DELETE …/records: Kafka's DeleteRecords. */

import { createRoute, z } from "@hono/zod-openapi";
import { Cluster } from "../cluster/cluster.ts";
import { unwrap } from "../model/errors.ts";
import { newRoutes } from "./context.ts";
import { errorResponses } from "./errors.ts";
import { digitsOr, json, Offset, PartitionParams } from "./schemas.ts";

const UP_TO_HIGH_WATERMARK = -1;

const DeleteRecordsAnswer = z
  .object({ log_start_offset: Offset.openapi({ description: "The first offset that is still kept." }) })
  .openapi("DeleteRecords");

export const deleteRecordsRoutes = newRoutes().openapi(
  createRoute({
    method: "delete",
    path: "/v1/topics/{topic}/partitions/{partition}/records",
    tags: ["records"],
    summary: "Delete records from the beginning of the log",
    request: {
      params: PartitionParams,
      query: z.strictObject({
        before_offset: digitsOr(["latest"]).openapi({
          description: "Records before it go. `latest`: all that are there now.",
        }),
      }),
    },
    responses: {
      200: { description: "Where the log begins now.", content: json(DeleteRecordsAnswer) },
      ...errorResponses(
        "UNKNOWN_TOPIC_OR_PARTITION",
        "INVALID_TOPIC_EXCEPTION",
        "OFFSET_OUT_OF_RANGE",
        "POLICY_VIOLATION",
        "KAFKA_STORAGE_ERROR",
      ),
    },
  }),
  async (c) => {
    const { topic, partition } = c.req.valid("param");
    const { before_offset: before } = c.req.valid("query");
    const { logStartOffset } = unwrap(
      await new Cluster(c.env).deleteRecords(
        topic,
        partition,
        before === "latest" ? UP_TO_HIGH_WATERMARK : before,
      ),
    );
    return c.json({ log_start_offset: logStartOffset }, 200);
  },
);
