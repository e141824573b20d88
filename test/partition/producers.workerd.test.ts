import { evictDurableObject } from "cloudflare:test";
import { describe, expect, test } from "vitest";
import type { Topic } from "../../src/model/topic.ts";
import { append, batchOf, createTopic, leaderOf, readLocal, valuesIn } from "./support.ts";

function produce(topic: Topic, baseSequence: number, values: string[], producerEpoch = 0) {
  return append(topic, batchOf(values, Date.now(), { producerId: 7, producerEpoch, baseSequence }));
}

describe("an idempotent producer", () => {
  test.each([
    ["while the leader lives", async () => {}],
    ["after the leader was evicted", async (topic: Topic) => evictDurableObject(leaderOf(topic))],
  ])("that repeats one of its last five batches gets the original offset, %s", async (_, between) => {
    const topic = await createTopic();
    for (let i = 0; i < 7; i++) await produce(topic, 2 * i, [`${i}a`, `${i}b`]);
    await between(topic);
    for (let i = 2; i < 7; i++) {
      expect(await produce(topic, 2 * i, [`${i}a`, `${i}b`])).toMatchObject({ baseOffset: 2 * i });
    }
    expect(await produce(topic, 2, ["1a", "1b"])).toMatchObject({ error: "OUT_OF_ORDER_SEQUENCE_NUMBER" });
    expect((await readLocal(topic)).highWatermark).toBe(14);
  });

  test("whose retry overtakes the first attempt's commit is answered once, with one offset", async () => {
    const topic = await createTopic();
    const stub = leaderOf(topic);
    const request = () => ({
      topicVersion: topic.version,
      batch: batchOf(["a"], 1, { producerId: 7, producerEpoch: 0, baseSequence: 0 }),
    });
    const answers = await Promise.all([
      stub.append(request()),
      stub.append(request()),
      stub.append(request()),
    ]);
    expect(answers).toEqual([answers[0], answers[0], answers[0]]);
    expect(valuesIn((await readLocal(topic)).batches)).toEqual(["a"]);
  });

  test("that leaves a gap is refused, also after the leader was evicted", async () => {
    const topic = await createTopic();
    await produce(topic, 0, ["a"]);
    expect(await produce(topic, 2, ["c"])).toMatchObject({ error: "OUT_OF_ORDER_SEQUENCE_NUMBER" });
    await evictDurableObject(leaderOf(topic));
    expect(await produce(topic, 2, ["c"])).toMatchObject({ error: "OUT_OF_ORDER_SEQUENCE_NUMBER" });
    expect(await produce(topic, 1, ["b"])).toMatchObject({ baseOffset: 1 });
  });

  test("with an older epoch is fenced, and a newer epoch begins at sequence 0", async () => {
    const topic = await createTopic();
    await produce(topic, 0, ["a"], 1);
    expect(await produce(topic, 0, ["x"], 0)).toMatchObject({ error: "INVALID_PRODUCER_EPOCH" });
    expect(await produce(topic, 5, ["x"], 2)).toMatchObject({ error: "OUT_OF_ORDER_SEQUENCE_NUMBER" });
    expect(await produce(topic, 0, ["b"], 2)).toMatchObject({ baseOffset: 1 });
  });

  test("is recognised after hundreds of commits and a wake, from the snapshot and what follows it", async () => {
    const topic = await createTopic();
    for (let i = 0; i < 600; i++) await produce(topic, i, [`${i}`]);
    await evictDurableObject(leaderOf(topic));
    expect(await produce(topic, 599, ["599"])).toMatchObject({ baseOffset: 599 });
    expect(await produce(topic, 600, ["600"])).toMatchObject({ baseOffset: 600 });
  });
});
