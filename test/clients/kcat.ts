/** kcat, librdkafka's command (Debian: `apt-get install kcat`). */

import type { Client, Target } from "./client.ts";
import { CODECS } from "./client.ts";
import { type TestRecord, textRecords } from "./records.ts";
import { run } from "./run.ts";

const SEEK_RECORDS = 1_000;

export const kcatClient: Client = {
  name: "kcat",
  codecs: CODECS,
  isBinary: false,
  async installed() {
    const printed = await run("kcat", ["-V"]).catch(() => "");
    const [, version, library] = /Version (\S+) .*librdkafka ([\d.]+)/.exec(printed) ?? [];
    if (version === undefined) return { missing: "kcat (Debian: apt-get install kcat)" };
    return { version: `${version} (librdkafka ${library})` };
  },
  async produce(target, topic, records, codec) {
    const [source = ""] = records[0]?.headers[0]?.slice(1) ?? [];
    const lines = records.map(({ key, value }) => `${key}\t${value}\n`).join("");
    const idempotent = ["-X", "enable.idempotence=true", "-X", "partitioner=murmur2_random"];
    const args = ["-P", "-t", topic, "-K", "\t", "-H", `source=${source}`, "-z", codec, ...idempotent];
    await kcat(target, args, lines);
  },
  consume: (target, topic) => consume(target, topic, "beginning"),
  checks: [
    {
      what: "-L",
      async run(target, topic) {
        const { brokers, topics } = JSON.parse(await kcat(target, ["-L", "-J", "-t", topic]));
        const names = brokers.map(({ name }: { name: string }) => name);
        if (names.toSorted().join() !== target.bootstrap.split(",").toSorted().join())
          throw new Error(`the brokers are ${names}`);
        return `${brokers.length} broker(s), ${topics[0].partitions.length} partitions`;
      },
    },
    {
      what: "-o s@<ms>, -Q",
      async run(target) {
        const topic = `kcat-seek-${target.route}`;
        const lines = textRecords("kcat", SEEK_RECORDS).map(({ value }) => `${value}\n`);
        await kcat(target, ["-P", "-t", topic], lines.slice(0, SEEK_RECORDS / 2).join(""));
        // The clock must have moved on for there to be a time between the two halves.
        const last = Number(
          (await kcat(target, ["-C", "-q", "-e", "-t", topic, "-o", "-1", "-f", "%T"])).trim(),
        );
        while (Date.now() <= last + 1) await new Promise((resolve) => setTimeout(resolve, 1));
        await kcat(target, ["-P", "-t", topic], lines.slice(SEEK_RECORDS / 2).join(""));
        const later = await kcat(target, [
          "-C",
          "-q",
          "-e",
          "-t",
          topic,
          "-o",
          `s@${last + 1}`,
          "-f",
          "%s\n",
        ]);
        if (later !== lines.slice(SEEK_RECORDS / 2).join("")) throw new Error("not the records from then on");
        const queried = await kcat(target, ["-Q", "-t", `${topic}:0:${last + 1}`]);
        if (!queried.includes(`offset ${SEEK_RECORDS / 2}`)) throw new Error(`-Q said: ${queried}`);
        return undefined;
      },
    },
    {
      what: "null keys and values",
      async run(target) {
        const topic = `kcat-null-${target.route}`;
        await kcat(target, ["-P", "-t", topic, "-Z", "-K", ":"], "a:\n:b\n:\n");
        const came = await kcat(target, ["-C", "-q", "-e", "-t", topic, "-f", "%K,%S "]);
        if (came !== "1,-1 -1,1 -1,-1 ") throw new Error(`lengths of keys and values: ${came}`);
        return undefined;
      },
    },
  ],
};

async function consume(target: Target, topic: string, offset: string): Promise<TestRecord[]> {
  const format = "%k\t%s\t%h\n";
  const printed = await kcat(target, ["-C", "-q", "-e", "-t", topic, "-o", offset, "-f", format]);
  return printed
    .split("\n")
    .slice(0, -1)
    .map((line) => {
      const [key = "", value = "", headers = ""] = line.split("\t");
      return { key: Buffer.from(key), value: Buffer.from(value), headers: [headerOf(headers)] };
    });
}

function headerOf(text: string): [string, string] {
  const [name = "", value = ""] = text.split("=");
  return [name, value];
}

function kcat(target: Target, args: readonly string[], input = ""): Promise<string> {
  const { sasl } = target;
  const login =
    sasl === undefined
      ? []
      : [
          ["security.protocol", "sasl_plaintext"],
          ["sasl.mechanism", "PLAIN"],
          ["sasl.username", sasl.username],
          ["sasl.password", sasl.password],
        ].flatMap(([name, value]) => ["-X", `${name}=${value}`]);
  return run("kcat", ["-b", target.bootstrap, ...login, ...args], { input });
}
