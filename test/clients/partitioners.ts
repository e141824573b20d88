import type { Client, Target } from "./client.ts";
import { consumePartition, createTopic, produceOverHttp } from "./http.ts";
import { textRecords } from "./records.ts";

const PARTITIONS = 7;
const KEYS = 900;

/** Which keys each partition has, one line per partition; the same for all who partition by murmur2 of the key, as Java does. */
export async function keysByPartition(
  target: Target,
  client: Client | "HTTP",
  index: number,
): Promise<string> {
  const topic = `keyed-${index}-${target.route}`;
  await createTopic(target, topic, PARTITIONS);
  const records = textRecords("keys", KEYS);
  if (client === "HTTP") await produceOverHttp(target, topic, records);
  else await client.produce(target, topic, records, "none");
  const lines: string[] = [];
  for (let partition = 0; partition < PARTITIONS; partition++) {
    const keys = (await consumePartition(target, topic, partition)).map(({ key }) => String(key));
    lines.push(keys.toSorted().join(" "));
  }
  return lines.join("\n");
}
