/** The tiered segments in the R2 bucket of a data directory. */

import { copyFileSync, globSync } from "node:fs";
import { basename, join } from "node:path";
import { DatabaseSync } from "node:sqlite";

/** Copies the segments of one partition out of the bucket, under the names that Kafka gives them; in their order. */
export function copySegments(dataDir: string, topicId: string, partition: number, into: string): string[] {
  const copied: string[] = [];
  for (const file of globSync(join(dataDir, "**", "*.sqlite"))) {
    const database = new DatabaseSync(file, { readOnly: true });
    try {
      const isBucket = database.prepare("SELECT 1 FROM sqlite_master WHERE name = '_mf_objects'").get();
      if (isBucket === undefined) continue;
      const rows = database
        .prepare("SELECT key, blob_id FROM _mf_objects WHERE key LIKE ? ORDER BY key")
        .all(`${topicId}/${partition}/%`);
      for (const { key, blob_id: blob } of rows) {
        const [from] = globSync(join(dataDir, "**", String(blob)));
        if (from === undefined) throw new Error(`the blob of ${key} is not there`);
        const to = join(into, basename(String(key)));
        copyFileSync(from, to);
        copied.push(to);
      }
    } finally {
      database.close();
    }
  }
  return copied;
}
