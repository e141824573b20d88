/** The Worker, and load on its partitions from inside it. */

import type { Env } from "../../src/env.ts";
import { partitionObjectName } from "../../src/model/ids.ts";
import worker from "../../src/worker.ts";
import { drive, driveOf } from "../load/drive.ts";

export * from "../../src/worker.ts";

export default {
  ...worker,
  async fetch(request, env, context) {
    const url = new URL(request.url);
    if (url.pathname !== "/bench/rpc") return worker.fetch(request, env, context);
    const how = driveOf(url);
    const topicId = url.searchParams.get("topicId") ?? "";
    const topicVersion = Number(url.searchParams.get("topicVersion"));
    const batch = new Uint8Array(await request.arrayBuffer());
    const logs = Array.from({ length: how.partitions }, (_, partition) =>
      env.PARTITION.getByName(partitionObjectName({ topicId, partition, placement: 0 })),
    );
    const driven = await drive(how, async (partition) => {
      const answer = await logs[partition]?.append({ topicVersion, batch });
      if (answer === undefined || "error" in answer) throw new Error(JSON.stringify(answer));
    });
    return Response.json(driven);
  },
} satisfies ExportedHandler<Env>;
