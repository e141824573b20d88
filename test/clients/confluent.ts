/**
 * @confluentinc/kafka-javascript: librdkafka in Node. It is compiled when it is installed, and therefore no dependency of
 * this project: EDGELOG_TEST_CONFLUENT names a directory in which `npm install @confluentinc/kafka-javascript` was run, and
 * EDGELOG_TEST_CONFLUENT_NODE the Node that it was compiled for, if that is not the one that runs this.
 */

import { fileURLToPath } from "node:url";
import type { Client, Target } from "./client.ts";
import { CODECS } from "./client.ts";
import type { TestRecord } from "./records.ts";
import { run } from "./run.ts";

const PACKAGE = "@confluentinc/kafka-javascript";
const CHILD = fileURLToPath(new URL("./confluent-child.mjs", import.meta.url).href);
const directory = process.env.EDGELOG_TEST_CONFLUENT ?? "";
const node = process.env.EDGELOG_TEST_CONFLUENT_NODE ?? process.execPath;
let groups = 0;

interface JsonRecord {
  readonly key: string | null;
  readonly value: string | null;
  readonly headers: readonly (readonly [string, string])[];
}

export const confluentClient: Client = {
  name: PACKAGE,
  codecs: CODECS,
  isBinary: true,
  sendsNullForEmpty: true,
  async installed() {
    const missing = `${PACKAGE} (in a directory that EDGELOG_TEST_CONFLUENT names)`;
    if (directory === "") return { missing };
    const library = await child("version", {}).catch((error: Error) => error);
    if (library instanceof Error) return { missing: `${missing}: ${library.message.slice(0, 300)}` };
    return { version: `(librdkafka ${library.trim()})` };
  },
  async produce(target, topic, records, codec) {
    const base64 = (bytes: Buffer | null) => bytes?.toString("base64") ?? null;
    const lines = records.map(({ key, value, headers }) =>
      JSON.stringify({ key: base64(key), value: base64(value), headers }),
    );
    await child("produce", { ...optionsOf(target), topic, codec }, lines.join("\n"));
  },
  consume: (target, topic, count) => consume(target, topic, count, "classic"),
  checks: [
    {
      what: "group.protocol=consumer",
      async run(target, topic) {
        const records = await consume(target, topic, 1, "consumer");
        if (records.length === 0) throw new Error("nothing came");
        return undefined;
      },
    },
  ],
};

async function consume(
  target: Target,
  topic: string,
  count: number,
  protocol: "classic" | "consumer",
): Promise<TestRecord[]> {
  const groupId = `confluent-${++groups}-${topic}`;
  const printed = await child("consume", { ...optionsOf(target), topic, count, groupId, protocol });
  const bytes = (base64: string | null) => (base64 === null ? null : Buffer.from(base64, "base64"));
  return printed
    .trim()
    .split("\n")
    .map((line) => {
      const { key, value, headers }: JsonRecord = JSON.parse(line);
      return { key: bytes(key), value: bytes(value), headers };
    });
}

function optionsOf({ bootstrap, sasl }: Target) {
  return { bootstrap, sasl };
}

function child(command: string, options: object, input = ""): Promise<string> {
  return run(node, [CHILD, command, JSON.stringify({ directory, ...options })], { input });
}
