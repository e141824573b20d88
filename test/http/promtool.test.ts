/** Prometheus' own check of what it would scrape: Debian's package `prometheus`, or what PROMTOOL_PATH names. */

import { spawnSync } from "node:child_process";
import { describe, expect, test } from "vitest";
import { useCluster } from "../client/cluster.ts";

const promtool = process.env.PROMTOOL_PATH ?? "promtool";
const isMissing = spawnSync(promtool, ["--version"]).error !== undefined;
if (isMissing) {
  console.warn(
    `SKIPPED: the check of the metrics' form, because there is no ${promtool}; install it (apt-get install -y prometheus) or set PROMTOOL_PATH.`,
  );
}

describe.skipIf(isMissing)("promtool", () => {
  const cluster = useCluster();

  test("finds nothing to complain about in the metrics", async () => {
    const topic = await cluster.newTopic(3);
    const client = cluster.client();
    const producer = client.producer({ topic });
    await producer.send(Array.from({ length: 10 }, (_, i) => ({ value: "x", partition: i % 3 })));
    await producer.close();
    for (const group of ["plain", 'quote" back\\slash\nline\ttab ü\u0001']) {
      await client.groups.setOffsets(
        group,
        [0, 1, 2].map((partition) => ({ topic, partition, offset: 1 })),
      );
    }
    const input = await (await fetch(`${cluster.url}/metrics`)).text();
    expect(input).toContain('edgelog_consumer_group_lag_records{group="plain"');
    const { status, stdout, stderr } = spawnSync(promtool, ["check", "metrics"], { input, encoding: "utf8" });
    expect({ status, stdout, stderr }).toEqual({ status: 0, stdout: "", stderr: "" });
  });
});
