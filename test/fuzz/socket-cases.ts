/** Subscriptions: about half as they should be, the others spoilt in one way or another. */

import type { ModelTopic } from "./model.ts";
import type { Random } from "./random.ts";
import type { SocketCase } from "./socket-rules.ts";
import { mutatedJson, oddNumber } from "./values.ts";

type Parameter = readonly [name: string, value: string];

export function nextSocketCase(random: Random, topic: ModelTopic): SocketCase {
  const query = random.chance(0.5) ? [] : someQuery(random, topic);
  if (random.chance(0.3))
    query.push([
      "credit_bytes",
      random.chance(0.8) ? String(random.pick([0, 1, 500, 16_777_216])) : oddNumber(random),
    ]);
  if (random.chance(0.2)) query.push(["value", random.chance(0.8) ? "json" : "xml"]);
  if (random.chance(0.05)) query.push([random.pick(["ofset", "__proto__", "value", "partition"]), "0"]);
  const opensAll = !query.some(([name]) => ["offset", "timestamp", "partition"].includes(name));
  return {
    query,
    subprotocols: random.pick([
      [],
      ["edgelog.v1.json"],
      ["edgelog.v1.binary"],
      ["edgelog.v1.binary", "edgelog.v1.json"],
    ]),
    messages: Array.from(
      {
        length: random.weighted([
          [3, 1],
          [2, 2],
          [1, 3],
          [opensAll ? 0 : 4, 0],
        ]),
      },
      (_, index) => message(random, topic, opensAll && index === 0),
    ),
  };
}

export function nextEventCase(random: Random, topic: ModelTopic): SocketCase {
  const query = someQuery(random, topic);
  if (random.chance(0.2)) query.push(["value", "json"]);
  const positions = Array.from(
    { length: topic.partitions },
    (_, index) => `${index}:${offsetIn(random, topic, index)}`,
  );
  const partition = query.find(([name]) => name === "partition")?.[1];
  const listed =
    partition === undefined
      ? positions.slice(0, random.int(1, positions.length))
      : [`${partition}:${offsetIn(random, topic, Number(partition) || 0)}`];
  const odd = ["", "0", "0:", "0:x", "0:1,0:2", "9:1", "-1:0", "0:1;1:2", "0:99999999999999999999", " 0:3 "];
  const lastEventId = random.chance(0.8) ? listed.join(",") : random.pick(odd);
  return {
    query,
    subprotocols: [],
    messages: [],
    ...(random.chance(0.4) && isHeaderText(lastEventId) && { lastEventId }),
  };
}

function someQuery(random: Random, topic: ModelTopic): Parameter[] {
  const query: Parameter[] = [];
  const partition = random.int(0, topic.partitions - 1);
  if (random.chance(0.6))
    query.push([
      "partition",
      random.chance(0.9) ? String(partition) : random.pick([String(topic.partitions), oddNumber(random)]),
    ]);
  const start = random.weighted<() => Parameter[]>([
    [3, () => [["offset", random.pick(["earliest", "latest"])]]],
    [3, () => [["offset", String(offsetIn(random, topic, partition))]]],
    [1, () => [["offset", oddNumber(random)]]],
    [2, () => [["timestamp", String(Date.now() - random.int(0, 1_100_000))]]],
    [1, () => [["timestamp", oddNumber(random)]]],
    [2, () => []],
    [
      0.3,
      () => [
        ["offset", "earliest"],
        ["timestamp", "0"],
      ],
    ],
  ])();
  return [...query, ...start];
}

/** Mostly in the log. */
function offsetIn(random: Random, topic: ModelTopic, partition: number): number {
  const log = topic.log(Math.min(Math.max(partition, 0), topic.partitions - 1));
  return random.weighted([
    [8, random.int(log.start, log.end)],
    [1, log.end + 1],
    [1, 0],
  ]);
}

function message(random: Random, topic: ModelTopic, subscribes: boolean): string | Buffer {
  const text = random.weighted<() => string>([
    [subscribes ? 10 : 1, () => subscribeMessage(random, topic)],
    [2, () => JSON.stringify({ type: "credit", bytes: random.pick([1, 1_000, 100_000]) })],
    [1, () => "ping"],
    [
      0.5,
      () =>
        `{"type":"credit","bytes":${random.pick(["0", "-1", "1.5", '"5"', "16777216", "16777217", "1e3", "null", "40000000"])}}`,
    ],
    [0.2, () => `{"type":"credit","bytes":1,"padding":"${"x".repeat(random.pick([60_000, 70_000]))}"}`],
    [
      0.3,
      () => random.pick(["", "pong", "{}", "[]", "null", '{"type":"unsubscribe"}', '{"type":1}', "PING"]),
    ],
  ])();
  if (random.chance(0.1)) return mutatedJson(random, text);
  return random.chance(0.03) ? Buffer.from(text) : text;
}

function subscribeMessage(random: Random, topic: ModelTopic): string {
  const first = random.int(0, topic.partitions - 1);
  const count = random.weighted([
    [4, 1],
    [2, 2],
    [1, topic.partitions],
    [0.2, 0],
  ]);
  const partitions = Array.from({ length: count }, (_, index) => {
    const partition = random.chance(0.95)
      ? (first + index) % topic.partitions
      : random.pick([first, topic.partitions, -1, 0.5]);
    const start = random.weighted<() => object>([
      [4, () => ({ offset: offsetIn(random, topic, Math.floor(partition)) })],
      [3, () => ({ offset: random.pick(["earliest", "latest"]) })],
      [2, () => ({ timestamp: Date.now() - random.int(0, 1_100_000) })],
      [
        0.5,
        () =>
          random.pick([
            {},
            { offset: "first" },
            { offset: -1 },
            { offset: 0, timestamp: 0 },
            { offset: null },
            { timestamp: "0" },
          ]),
      ],
    ])();
    return { partition, ...start };
  });
  const credit = random.chance(0.3) ? { credit_bytes: random.pick([0, 1, 5_000, 16_777_216, -1]) } : {};
  return JSON.stringify({ type: "subscribe", partitions, ...credit });
}

function isHeaderText(text: string): boolean {
  return /^[ -~]*$/.test(text);
}
