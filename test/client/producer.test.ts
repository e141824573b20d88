import { expect, test } from "vitest";
import { readAll, useCluster } from "./cluster.ts";

const cluster = useCluster();

test("a record is stored at the partition and offset that its promise names", async () => {
  const topic = await cluster.newTopic(3);
  const producer = cluster.client().producer({ topic });
  const sent = await producer.send([
    { key: "a", value: "one", headers: { trace: "1" }, timestamp: 1_700_000_000_000 },
    { key: "b", value: null },
    { value: new Uint8Array([0, 255]), partition: 2 },
  ]);
  await producer.close();
  const records = await readAll(cluster.client(), topic);
  expect(records).toHaveLength(3);
  for (const { partition, offset } of sent) {
    expect(records.find((record) => record.partition === partition && record.offset === offset)).toBeDefined();
  }
  const one = records.find((record) => record.keyText() === "a");
  expect(one?.text()).toBe("one");
  expect(one?.header("trace")).toBe("1");
  expect(one?.timestamp).toBe(1_700_000_000_000);
  expect(records.find((record) => record.keyText() === "b")?.value).toBeNull();
  expect(records.find((record) => record.partition === 2 && record.key === null)?.value).toEqual(
    new Uint8Array([0, 255]),
  );
});
