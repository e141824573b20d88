import { afterAll, beforeAll, expect, it } from "vitest";
import { startTunnel, type Tunnel } from "../../src/cli/kafka-tunnel.ts";
import { parseHostsAndPorts } from "../../src/kafka/brokers.ts";
import { createTopicsApi } from "../../src/kafka/messages/create-topics.ts";
import { listGroupsApi } from "../../src/kafka/messages/list-groups.ts";
import { offsetCommitApi } from "../../src/kafka/messages/offset-commit.ts";
import { type KafkaPlatform, startKafkaPlatform } from "./kafka-platform.ts";
import { RawClient } from "./raw-client.ts";

const GROUPS = Array.from({ length: 9 }, (_, number) => `group-${number}`);
const FREE_PORT = { host: "127.0.0.1", port: 0 };

let platform: KafkaPlatform;
let tunnel: Tunnel;
beforeAll(async () => {
  platform = await startKafkaPlatform({ kafkaPorts: [0, 0, 0] });
  tunnel = await startTunnel({
    url: platform.url,
    listen: [FREE_PORT, FREE_PORT, FREE_PORT],
    note: () => {},
  });
});
afterAll(async () => {
  await tunnel.stop();
  await platform.stop();
});

it.each([
  ["directly", () => platform.brokers],
  ["through a tunnel", () => parseHostsAndPorts(tunnel.addresses.join(","))],
])("several brokers together list each group once, %s", async (way, brokers) => {
  const clients = await Promise.all(brokers().map((broker) => RawClient.connect(broker)));
  const [first] = clients;
  if (first === undefined) throw new Error("there are no brokers");
  const name = `topic-${way.length}`;
  const topic = { name, numPartitions: 1, replicationFactor: 1, assignments: [], configs: [] };
  await first.ask(createTopicsApi, 7, { topics: [topic] });
  for (const groupId of GROUPS) await commit(first, groupId, name);
  const listed = await Promise.all(
    clients.map((client) => client.ask(listGroupsApi, 4, { statesFilter: [], typesFilter: [] })),
  );
  // As in Kafka no error: there are no groups in such a state, or of such a type.
  for (const filter of [{ statesFilter: ["Foo"] }, { typesFilter: ["foo"] }]) {
    const none = await first.ask(listGroupsApi, 5, { statesFilter: [], typesFilter: [], ...filter });
    expect(none).toMatchObject({ errorCode: 0, groups: [] });
  }
  for (const client of clients) client.close();
  const ids = listed.map(({ groups }) => groups.map(({ groupId }) => groupId));
  expect(ids.flat().toSorted()).toEqual(GROUPS);
  expect(ids.every((ofBroker) => ofBroker.length < GROUPS.length)).toBe(true);
});

async function commit(client: RawClient, groupId: string, name: string): Promise<void> {
  const partitions = [{ partitionIndex: 0, committedOffset: 1, committedMetadata: null }];
  const { topics } = await client.ask(offsetCommitApi, 2, {
    groupId,
    generationIdOrMemberEpoch: -1,
    memberId: "",
    retentionTimeMs: -1,
    topics: [{ name, topicId: "", partitions }],
  });
  expect(topics[0]?.partitions).toMatchObject([{ errorCode: 0 }]);
}
