/** What readers see of a topic whose partitions end with {@link END}. */

import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { type MemberCommand, MemberProcess } from "../churn/member-process.ts";
import type { Isolation, SeenRecord, View } from "./check.ts";
import { readerArguments } from "./clients.ts";
import { END } from "./output.ts";

export interface Reading {
  readonly bootstrap: string;
  readonly topic: string;
  readonly partitions: number;
  readonly isolation: Isolation;
}

const READ_MS_MAX = 120_000;
const PAGE_BYTES = 4_000_000;

/** By a client's own reader, a process that says what it sees. */
export async function clientView(
  reader: string,
  command: MemberCommand,
  directory: string,
  reading: Reading,
): Promise<View> {
  const { partitions, isolation } = reading;
  const path = join(directory, `${reader}-${isolation}`);
  const child = new MemberProcess(reader, path, {
    ...command,
    args: [...command.args, ...readerArguments(reading)],
  });
  const isOver = await Promise.race([
    child.ended.then(() => true),
    delay(READ_MS_MAX, false, { ref: false }),
  ]);
  if (!isOver) {
    await child.kill();
    throw new Error(`${reader}, ${isolation}, had not read everything after ${READ_MS_MAX} ms`);
  }
  const seen: SeenRecord[][] = Array.from({ length: partitions }, () => []);
  for (const line of (await readFile(`${path}.log`, "utf8")).split("\n").slice(0, -1)) {
    const [partition, offset, ...value] = line.split(" ");
    seen[Number(partition)]?.push({ offset: Number(offset), value: value.join(" ") });
  }
  return { reader, isolation, partitions: seen };
}

export async function httpView(url: string, { topic, partitions, isolation }: Reading): Promise<View> {
  const seen: SeenRecord[][] = [];
  for (let partition = 0; partition < partitions; partition++) {
    seen.push(await httpRecords(`${url}/v1/topics/${topic}/partitions/${partition}/records`, isolation));
  }
  return { reader: "HTTP", isolation, partitions: seen };
}

interface JsonRecord {
  readonly offset: number;
  readonly value: string;
}

async function httpRecords(url: string, isolation: Isolation): Promise<SeenRecord[]> {
  const records: SeenRecord[] = [];
  for (let next = "0"; ; ) {
    const query = `offset=${next}&max_bytes=${PAGE_BYTES}&isolation=${isolation}`;
    const answer = await fetch(`${url}?${query}`, { headers: { accept: "application/x-ndjson" } });
    const text = await answer.text();
    if (!answer.ok) throw new Error(`HTTP ${answer.status}: ${text}`);
    for (const line of text.split("\n").filter(Boolean)) {
      const { offset, value }: JsonRecord = JSON.parse(line);
      if (value === END) return records;
      records.push({ offset, value });
    }
    const after = answer.headers.get("edgelog-next-offset") ?? "";
    if (after === next)
      throw new Error(`HTTP, ${isolation}: nothing comes at ${next}, and it is not the end`);
    next = after;
  }
}
