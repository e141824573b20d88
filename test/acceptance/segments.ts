/** The objects that a stopped platform has left in its R2. */

import { join } from "node:path";
import { PACKAGE_ROOT } from "../../src/cli/bundle.ts";
import { loadRuntime } from "../../src/cli/peers.ts";
import { batchHeaders } from "../../src/log/batch-header.ts";
import { decodeBatches } from "../../src/log/decode-batch.ts";

export interface TieredSegments {
  readonly segments: number;
  readonly bytes: number;
  readonly records: number;
}

/** Parses every segment of the one topic that there is; `fetched` is its log from offset 0 on. */
export async function tieredSegments(
  dataDir: string,
  fetched: Uint8Array,
  failures: string[],
): Promise<TieredSegments> {
  const positions = new Map<number, number>();
  for (const { header, position } of batchHeaders(fetched)) positions.set(header.baseOffset, position);
  let records = 0;
  let bytes = 0;
  let nextOffset = 0;
  const objects = await objectsIn(dataDir);
  for (const [key, object] of objects) {
    const baseOffset = Number(/(\d{20})\.log$/.exec(key)?.[1]);
    if (baseOffset !== nextOffset)
      failures.push(`${key} does not follow the one before it, at ${nextOffset}`);
    for (const { header } of batchHeaders(object)) {
      if (header.baseOffset !== nextOffset)
        failures.push(`${key}: ${header.baseOffset} in place of ${nextOffset}`);
      nextOffset = header.nextOffset;
    }
    // Every record, too, and every CRC.
    for (const _ of decodeBatches(object)) records += 1;
    const position = positions.get(baseOffset) ?? 0;
    if (Buffer.compare(object, fetched.subarray(position, position + object.length)) !== 0) {
      failures.push(`${key} is not what fetch returned`);
    }
    bytes += object.length;
  }
  return { segments: objects.length, bytes, records };
}

async function objectsIn(dataDir: string): Promise<[key: string, bytes: Uint8Array][]> {
  const { miniflare } = await loadRuntime();
  const contents = "export default { fetch: () => new Response() };";
  const runtime = new miniflare.Miniflare(
    miniflare.convertV4MiniflareOptions({
      cf: false,
      telemetry: { enabled: false },
      log: new miniflare.NoOpLog(),
      resourcePersistencePath: dataDir,
      workers: [
        {
          name: "edgelog",
          // As in wrangler.toml.
          r2Buckets: { SEGMENTS: "edgelog-segments" },
          modules: [{ type: "ESModule", path: join(PACKAGE_ROOT, "reader.js"), contents }],
          modulesRoot: PACKAGE_ROOT,
        },
      ],
    }),
  );
  try {
    const bucket = await runtime.getR2Bucket("SEGMENTS");
    const objects: [string, Uint8Array][] = [];
    for (let cursor: string | undefined; ; ) {
      const page = await bucket.list(cursor === undefined ? {} : { cursor });
      for (const { key } of page.objects) {
        const object = await bucket.get(key);
        if (object !== null) objects.push([key, new Uint8Array(await object.arrayBuffer())]);
      }
      if (!page.truncated) return objects.toSorted(([a], [b]) => (a < b ? -1 : 1));
      cursor = page.cursor;
    }
  } finally {
    await runtime.dispose();
  }
}
