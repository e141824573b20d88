/**
 * 100,000 records go in over HTTP by curl, half as JSON and half as NDJSON, and come back as JSON, as raw batches and as
 * an event stream: `npm run test:acceptance -- [--records 100000]`. What comes back must be what went in, whichever the
 * way, by a SHA-256 of keys and values in order. Then the tiered segments are fetched out of R2, parsed, and held against
 * what fetch returned. Exit code 1 if anything differs.
 */

import { createHash } from "node:crypto";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { end, serve, temporaryDirectory } from "../cli/edgelog.ts";
import { curl, eventsFrom } from "./curl.ts";
import { type Read, readBatches, readEvents, readJson } from "./read.ts";
import { tieredSegments } from "./segments.ts";

const REQUEST_RECORDS = 5_000;
const TOPIC = "acceptance";

const { values } = parseArgs({ options: { records: { type: "string", default: "100000" } } });
const total = Number(values.records);

/** Keys and values in order; lengths stand before them, so that no two sequences look alike. */
class Digest {
  readonly #hash = createHash("sha256");
  records = 0;

  add(...fields: (string | Uint8Array | null)[]): void {
    for (const field of fields) {
      const bytes = field === null ? null : Buffer.from(field);
      this.#hash.update(`${bytes?.length ?? -1}:`);
      if (bytes !== null) this.#hash.update(bytes);
    }
    this.records += 1;
  }

  hex(): string {
    return this.#hash.digest("hex");
  }
}

interface Produced {
  readonly key: string | null;
  readonly value: string | null;
}

function produced(index: number): Produced {
  const key = index % 10 === 0 ? null : `key ${index % 997} é`;
  const value = index % 1_000 === 7 ? null : `${index} ${"0123456789 ".repeat(index % 20)}☃`;
  return { key, value };
}

await using directory = await temporaryDirectory();
const dataDir = join(directory.path, "data");
const bodies = join(directory.path, "bodies");
await mkdir(bodies);
const served = await serve(dataDir, ["--quiet"]);
const failures: string[] = [];

try {
  const url = `${served.url}/v1/topics/${TOPIC}`;
  const configs = {
    "segment.bytes": "1000000",
    "local.retention.ms": "0",
    "edgelog.local.drop.delay.ms": "0",
  };
  await curl([`${served.url}/v1/topics`], { json: { name: TOPIC, configs } });

  const went = new Digest();
  for (let first = 0; first < total; first += REQUEST_RECORDS) {
    const records = Array.from({ length: Math.min(REQUEST_RECORDS, total - first) }, (_, index) =>
      produced(first + index),
    );
    for (const { key, value } of records) went.add(key, value);
    const isJson = (first / REQUEST_RECORDS) % 2 === 0;
    const text = isJson
      ? JSON.stringify({ records })
      : records.map((record) => `${JSON.stringify(record)}\n`).join("");
    const file = join(bodies, "body");
    await writeFile(file, text);
    const type = isJson ? "application/json" : "application/x-ndjson";
    const answer = JSON.parse(
      await curl([`${url}/records`, "-H", `content-type: ${type}`, "--data-binary", `@${file}`]),
    );
    for (const [index, { offset }] of answer.records.entries()) {
      if (offset !== first + index) throw new Error(`record ${first + index} was stored at offset ${offset}`);
    }
  }
  const expected = went.hex();
  console.log(`${went.records} records produced by curl, half JSON, half NDJSON`);
  console.log(`  produced     ${expected}`);

  const compare = async (how: string, records: AsyncIterable<Read>) => {
    const came = new Digest();
    for await (const { offset, key, value } of records) {
      if (offset !== came.records) throw new Error(`${how}: offset ${offset} in place of ${came.records}`);
      came.add(key, value);
    }
    const hash = came.hex();
    console.log(`  ${how.padEnd(12)} ${hash} ${came.records} records`);
    if (hash !== expected || came.records !== total) failures.push(`${how} is not what was produced`);
  };
  const partition = `${url}/partitions/0`;
  await compare("JSON", readJson(partition));
  const fetched: Uint8Array[] = [];
  await compare("raw batches", readBatches(partition, fetched));
  await compare("event stream", readEvents(eventsFrom(`${url}/subscribe?offset=earliest`), total));

  let local = Number.POSITIVE_INFINITY;
  while (local > 1) local = JSON.parse(await curl([partition])).local_segments;
  await end(served.process);
  const whole = Buffer.concat(fetched);
  const { segments, bytes, records } = await tieredSegments(dataDir, whole, failures);
  console.log(`${segments} segments in R2 parsed: ${bytes} bytes, ${records} records`);
  if (segments < 2) failures.push("hardly anything was tiered");
} finally {
  await end(served.process, "SIGKILL");
}
for (const failure of failures) console.log(`FAILED ${failure}`);
process.exitCode = failures.length === 0 ? 0 : 1;
console.log(
  failures.length === 0
    ? "The same each way; segments are whole batches with contiguous offsets, as fetch returned them."
    : `${failures.length} differences`,
);
