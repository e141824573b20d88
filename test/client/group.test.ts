/** Members of consumer groups in Node, against the real platform. */

import { describe, expect, test } from "vitest";
import {
  type ConsumedRecord,
  Edgelog,
  type EdgelogError,
  type GroupConsumeOptions,
  type TopicPartition,
} from "../../src/client/index.ts";
import { take, useCluster } from "./cluster.ts";
import { FaultyProxy } from "./faulty-proxy.ts";

const cluster = useCluster();
let groups = 0;
const newGroup = () => `group-${++groups}`;

async function committed(group: string, topic: string): Promise<Record<number, number>> {
  const offsets: Record<number, number> = {};
  for (const { topic: of, partition, offset } of await cluster.client().groups.offsets(group)) {
    if (of === topic) offsets[partition] = offset;
  }
  return offsets;
}

/** A member whose loop runs by itself, and what came of it. */
class Member {
  readonly records: ConsumedRecord[] = [];
  readonly owned = new Set<number>();
  /** Partitions that have been given up or lost at some time. */
  readonly revoked: number[] = [];
  readonly assigned: number[] = [];
  readonly subscription: ReturnType<typeof Member.subscribe>;
  readonly done: Promise<void>;
  /** Rejects if the loop throws, and never resolves. */
  readonly failed: Promise<never>;
  /** Of each record, before it counts as processed. */
  work: (record: ConsumedRecord) => Promise<void> | void = () => {};
  #changed: () => void = () => {};

  private static subscribe(client: Edgelog, topic: string, options: GroupConsumeOptions) {
    return client.consume(topic, options);
  }

  constructor(topic: string, options: GroupConsumeOptions, client = cluster.client()) {
    this.subscription = Member.subscribe(client, topic, {
      from: "earliest",
      ...options,
      onAssigned: (partitions) => this.#assigned(partitions),
      onRevoked: (partitions) => this.#revoked(partitions),
    });
    this.done = this.#run();
    this.failed = this.done.then(() => new Promise(() => {}));
    this.failed.catch(() => {});
  }

  async #run(): Promise<void> {
    for await (const record of this.subscription) {
      if (!this.owned.has(record.partition)) throw new Error(`a record of ${record.partition} came too late`);
      this.records.push(record);
      this.#changed();
      await this.work(record);
    }
  }

  #assigned(partitions: readonly TopicPartition[]): void {
    for (const { partition } of partitions) {
      this.owned.add(partition);
      this.assigned.push(partition);
    }
    this.#changed();
  }

  #revoked(partitions: readonly TopicPartition[]): void {
    for (const { partition } of partitions) {
      this.owned.delete(partition);
      this.revoked.push(partition);
    }
    this.#changed();
  }

  changed(): Promise<void> {
    return new Promise((resolve) => {
      this.#changed = resolve;
    });
  }

  async until(done: (member: this) => boolean): Promise<void> {
    while (!done(this)) await Promise.race([this.changed(), this.failed]);
  }

  close(): Promise<void> {
    return this.subscription.close();
  }
}

async function until(members: readonly Member[], done: () => boolean): Promise<void> {
  while (!done()) await Promise.race(members.flatMap((member) => [member.changed(), member.failed]));
}

/** Each partition has one owner, and each member its share. */
function isShared(members: readonly Member[], partitions: number): boolean {
  const owned = members.flatMap((member) => [...member.owned]);
  const counts = members.map((member) => member.owned.size);
  return (
    owned.length === partitions &&
    new Set(owned).size === partitions &&
    Math.max(...counts) - Math.min(...counts) <= 1
  );
}

function countOf(members: readonly Member[]): number {
  return members.reduce((sum, { records }) => sum + records.length, 0);
}

function valuesOf(members: readonly Member[]): number[] {
  return members
    .flatMap(({ records }) => records.map((record) => Number(record.text())))
    .sort((a, b) => a - b);
}

function range(from: number, to: number): number[] {
  return Array.from({ length: to - from }, (_, i) => from + i);
}

describe("a group", () => {
  test("tells a member that ends of its partitions, and waits for it before others have them", async () => {
    const topic = await cluster.newTopic(2);
    const group = newGroup();
    const client = cluster.client();
    const isTold = Promise.withResolvers<void>();
    const isDone = Promise.withResolvers<void>();
    const told: { readonly partitions: readonly TopicPartition[]; readonly lost: boolean }[] = [];
    const leaving = client.consume(topic, {
      group,
      onRevoked: (partitions, lost) => {
        told.push({ partitions, lost });
        isTold.resolve();
        return isDone.promise;
      },
    });
    await leaving.ready();
    const closed = leaving.close();
    await isTold.promise;
    expect((await client.groups.describe(group)).members).toHaveLength(1);
    isDone.resolve();
    await closed;
    expect((await client.groups.describe(group)).members).toHaveLength(0);
    const all = [0, 1].map((partition) => ({ topic, partition }));
    expect(told).toEqual([{ partitions: all, lost: false }]);
  });

  test("is left once by a member that ends again from within what it is told", async () => {
    const topic = await cluster.newTopic();
    const group = newGroup();
    const client = cluster.client();
    const isTold = Promise.withResolvers<Promise<void>>();
    const isDone = Promise.withResolvers<void>();
    const leaving = client.consume(topic, {
      group,
      onRevoked: () => {
        isTold.resolve(leaving.close());
        return isDone.promise;
      },
    });
    await leaving.ready();
    let hasLeft = false;
    const closed = leaving.close().then(() => {
      hasLeft = true;
    });
    // What is under way by then has had its time.
    for (let times = 0; times < 5; times++) {
      expect((await client.groups.describe(group)).members).toHaveLength(1);
    }
    expect(hasLeft).toBe(false);
    isDone.resolve();
    await Promise.all([closed, isTold.promise]);
    expect((await client.groups.describe(group)).members).toHaveLength(0);
  });

  test("is left all the same when a member fails at giving its partitions up, and the failure is thrown", async () => {
    const topic = await cluster.newTopic();
    const group = newGroup();
    const client = cluster.client();
    const leaving = client.consume(topic, {
      group,
      onRevoked: () => {
        throw new Error("not written down");
      },
    });
    await leaving.ready();
    await expect(leaving.close()).rejects.toThrow("not written down");
    await leaving.close();
    expect((await client.groups.describe(group)).members).toHaveLength(0);
  });

  test("shares the partitions among its members, who give up what others are to have and go on with the rest", async () => {
    const topic = await cluster.newTopic(6);
    const group = newGroup();
    await cluster.produce(topic, 600, 6);
    const members = [new Member(topic, { group })];
    await until(members, () => countOf(members) === 600);
    const [first] = members;
    members.push(new Member(topic, { group }), new Member(topic, { group }));
    await until(members, () => isShared(members, 6));
    // Two stayed, all the time.
    expect(new Set(first?.revoked).size).toBe(4);
    expect(first?.assigned).toHaveLength(6);
    await cluster.produce(topic, 600, 6, 600);
    await until(members, () => countOf(members) >= 1_200);
    // Positions were committed before the partitions were given up: nothing came twice.
    expect(valuesOf(members)).toEqual(range(0, 1_200));
    const [leaving, ...staying] = members;
    await leaving?.close();
    await until(staying, () => isShared(staying, 6));
    await cluster.produce(topic, 60, 6, 1_200);
    await until(staying, () => countOf(members) >= 1_260);
    expect(valuesOf(members)).toEqual(range(0, 1_260));
    await Promise.all(members.map((member) => member.close()));
    expect(await committed(group, topic)).toEqual({ 0: 210, 1: 210, 2: 210, 3: 210, 4: 210, 5: 210 });
    await expect(cluster.client().groups.describe(group)).resolves.toMatchObject({ state: "Empty" });
  });

  test.each([
    ["straight connections", 8],
    ["connections through a Worker", 0],
  ])(
    "misses and repeats nothing while it is rebalanced under load and connections break, with %s",
    { timeout: 120_000 },
    async (_, maxDirectConnections) => {
      const partitions = 5;
      const topic = await cluster.newTopic(partitions);
      const group = newGroup();
      let broken = 0;
      let left = 0;
      cluster.proxy.breaks = ({ length: bytes }) => {
        left -= bytes;
        if (left > 0) return false;
        // More than one frame has to come through now and then, or there would be no progress.
        left = 10_000 + Math.floor(Math.random() * 150_000);
        broken += 1;
        return true;
      };
      const options = {
        group,
        maxDirectConnections,
        creditBytes: 65_536,
        reconnectBackoffMs: 1,
        autoCommitIntervalMs: 200,
      };
      const join = () => new Member(topic, options, cluster.client({ url: cluster.proxy.url }));
      const members = [join(), join()];
      const total = 20_000;
      const producing = cluster.produce(topic, total, partitions);
      await until(members, () => countOf(members) > total / 4);
      members.push(join());
      await until(members, () => countOf(members) > total / 2);
      await members[0]?.close();
      await until(members.slice(1), () => countOf(members) > (total * 3) / 4);
      members.push(join());
      await producing;
      await until(members, () => countOf(members) >= total && new Set(valuesOf(members)).size === total);
      cluster.proxy.breaks = () => false;
      expect(broken).toBeGreaterThan(5);
      expect(new Set(valuesOf(members))).toEqual(new Set(range(0, total)));
      // Of what was in hand when a member closed its loop, one record may come again.
      expect(valuesOf(members).length - total).toBeLessThanOrEqual(1);
      for (const member of members) {
        for (let partition = 0; partition < partitions; partition += 1) {
          const offsets = member.records
            .filter((each) => each.partition === partition)
            .map(({ offset }) => offset);
          expect(offsets, "in order while it is owned").toEqual(offsets.toSorted((a, b) => a - b));
        }
        await member.close();
      }
    },
  );

  test("goes on without a member that died, from what that had committed", async () => {
    const topic = await cluster.newTopic(3);
    const group = newGroup();
    const proxy = new FaultyProxy();
    await proxy.start(new URL(cluster.url));
    await cluster.produce(topic, 30, 3);
    const dying = new Member(topic, { group, autoCommit: false }, cluster.client({ url: proxy.url }));
    await dying.until(({ records }) => records.length === 30);
    await dying.subscription.commit([{ topic, partition: 0, offset: 4 }]);
    const successor = new Member(topic, { group });
    await until([dying, successor], () => isShared([dying, successor], 3));
    const taken = new Set(dying.owned);
    // It is cut off for good: nobody hears from it again.
    await proxy.stop();
    await successor.until(({ owned }) => owned.size === 3);
    await successor.until(({ records }) => new Set(valuesOf([successor])).size >= 26 && records.length >= 26);
    const again = successor.records.map(({ partition, offset }) => `${partition}/${offset}`);
    expect(again).not.toContain("0/3");
    for (const partition of taken) {
      for (let offset = partition === 0 ? 4 : 0; offset < 10; offset += 1) {
        expect(again).toContain(`${partition}/${offset}`);
      }
    }
    // And it has noticed itself.
    await dying.until(({ owned }) => owned.size === 0);
    await Promise.all([successor.close(), dying.close()]);
  });

  test("takes in partitions and topics that come later", async () => {
    const topic = await cluster.newTopic(1);
    const group = newGroup();
    const member = new Member(topic, { group, metadataMaxAgeMs: 50 });
    await member.until(({ owned }) => owned.size === 1);
    await cluster.client().topics.alter(topic, { partitions: 3 });
    await member.until(({ owned }) => owned.size === 3);
    await member.close();
    const topics = cluster.client().topics;
    await topics.create(`${group}.one`);
    const records = cluster
      .client()
      .consume({ pattern: `${group}\\..*` }, { group: newGroup(), from: "earliest" });
    await records.ready();
    expect(records.assignment()).toEqual([{ topic: `${group}.one`, partition: 0 }]);
    await records.close();
  });

  test("lets go of a topic that is deleted, and reads the one that is made anew from its beginning", async () => {
    const topic = await cluster.newTopic(2);
    const group = newGroup();
    await cluster.produce(topic, 20, 2);
    const member = new Member(topic, { group });
    await member.until(({ records }) => records.length === 20);
    const { topics } = cluster.client();
    await topics.delete(topic);
    await member.until(({ owned }) => owned.size === 0);
    await topics.create(topic, { partitions: 2 });
    await cluster.produce(topic, 20, 2);
    // Something has to wake the coordinator, or its time has to come.
    const second = new Member(topic, { group });
    await until([member, second], () => member.records.length + second.records.length === 40);
    await Promise.all([member.close(), second.close()]);
  });
});

describe("a record", () => {
  test("counts as processed when the loop asks for the next one", async () => {
    const topic = await cluster.newTopic(1);
    const group = newGroup();
    await cluster.produce(topic, 10, 1);
    const consume = (options: Partial<GroupConsumeOptions> = {}) =>
      cluster.client().consume(topic, { group, from: "earliest", ...options });
    const texts = (records: ConsumedRecord[]) => records.map((record) => record.text());
    expect(texts(await take(consume(), 3))).toEqual(["0", "1", "2"]);
    // The last one was still in hand.
    expect(await committed(group, topic)).toEqual({ 0: 2 });
    const records = consume();
    for await (const record of records) {
      if (record.text() !== "4") continue;
      // Now it is said to be.
      await records.commit();
      expect(await committed(group, topic)).toEqual({ 0: 5 });
      break;
    }
    expect(texts(await take(consume({ autoCommit: false }), 5))).toEqual(["5", "6", "7", "8", "9"]);
    expect(await committed(group, topic)).toEqual({ 0: 5 });
  });

  test.each([
    ["its partition", 1],
    ["no other", 0],
  ])("that the loop has in hand holds %s back until it is done", async (_, partition) => {
    const topic = await cluster.newTopic(2);
    const group = newGroup();
    const send = (value: string, to: number) =>
      cluster.client().producer({ topic, lingerMs: 0 }).send({ value, partition: to });
    await send("in hand", partition);
    const slow = new Member(topic, { group });
    let finish: () => void = () => {};
    slow.work = () =>
      new Promise((resolve) => {
        finish = resolve;
      });
    await slow.until(({ records }) => records.length === 1);
    const other = new Member(topic, { group });
    await other.subscription.ready();
    await send("next", 1);
    if (partition === 1) {
      // Partition 1 is to change hands, and cannot yet.
      const { groups } = cluster.client();
      expect(await groups.describe(group)).toMatchObject({ state: "Reconciling" });
      expect([slow.owned.size, other.owned.size]).toEqual([2, 0]);
      finish();
    }
    await until([slow, other], () => isShared([slow, other], 2));
    await other.until(({ records }) => records.length === 1);
    expect(other.records[0]?.text()).toBe("next");
    expect(slow.records).toHaveLength(1);
    finish();
    await Promise.all([slow.close(), other.close()]);
  });

  test("that is produced after the group has begun at the latest is given to whoever has its partition by then", async () => {
    const topic = await cluster.newTopic(2);
    const group = newGroup();
    await cluster.produce(topic, 10, 2);
    const first = cluster.client().consume(topic, { group });
    await first.ready();
    expect(await committed(group, topic)).toEqual({ 0: 5, 1: 5 });
    await first.close();
    await cluster.produce(topic, 4, 2, 10);
    const second = cluster.client().consume(topic, { group });
    expect((await take(second, 4)).map((record) => record.text()).sort()).toEqual(["10", "11", "12", "13"]);
  });

  test("that retention has removed is passed over as `from` says, or told", async () => {
    const topic = await cluster.newTopic(1);
    const group = newGroup();
    await cluster.produce(topic, 10, 1);
    const client = cluster.client();
    await take(client.consume(topic, { group, from: "earliest" }), 3);
    await fetch(`${cluster.url}/v1/topics/${topic}/partitions/0/records?before_offset=6`, {
      method: "DELETE",
    });
    const strict = client.consume(topic, { group, from: "earliest", offsetReset: "none" });
    await expect(strict.next()).rejects.toMatchObject({ code: "OFFSET_OUT_OF_RANGE" });
    const [next] = await take(client.consume(topic, { group, from: "earliest" }), 1);
    expect(next?.offset).toBe(6);
  });
});

describe("consuming with a group", () => {
  test("is refused where it cannot be, by the cluster's reason", async () => {
    const client = cluster.client();
    const refused = (topics: string, options: GroupConsumeOptions) => client.consume(topics, options).next();
    await expect(refused("no-such-topic", { group: newGroup() })).rejects.toMatchObject({
      code: "UNKNOWN_TOPIC_OR_PARTITION",
    });
    const nobody = new Edgelog({ url: "http://127.0.0.1:1" });
    const signal = AbortSignal.timeout(50);
    await expect(nobody.consume("t", { group: "g", signal }).next()).rejects.toMatchObject({
      name: "TimeoutError",
    });
    const twice = { group: newGroup(), groupInstanceId: "one" };
    const topic = await cluster.newTopic(1);
    const first = client.consume(topic, twice);
    await first.ready();
    expect(first.memberId).toHaveLength(22);
    const disconnects: EdgelogError[] = [];
    const second = client.consume(topic, { ...twice, onDisconnect: (reason) => disconnects.push(reason) });
    const ready = second.ready();
    while (disconnects.length === 0) await new Promise((resolve) => setTimeout(resolve, 5));
    expect(disconnects[0]?.code).toBe("UNRELEASED_INSTANCE_ID");
    // It waits for the first one to end.
    await first.close();
    await ready;
    expect(second.assignment()).toEqual([{ topic, partition: 0 }]);
    await second.close();
  });

  test("refuses options that cannot be, by name", () => {
    const client = cluster.client();
    const group = "g";
    expect(() => client.consume([], { group })).toThrow("topics");
    expect(() => client.consume("t", { group: "" })).toThrow("group id");
    expect(() => client.consume({ pattern: "" }, { group })).toThrow("pattern");
    expect(() => client.consume("t", { group, autoCommitIntervalMs: 0 })).toThrow("autoCommitIntervalMs");
    expect(() => client.consume("t", { group, creditBytes: 1 })).toThrow("creditBytes");
    // @ts-expect-error an offset is of one partition
    expect(() => client.consume("t", { group, from: 3 })).toThrow("from");
    // @ts-expect-error the coordinator decides
    expect(() => client.consume("t", { group, partitions: [0] })).toThrow("partitions");
    // @ts-expect-error only a group has several
    expect(() => client.consume(["a", "b"], {})).toThrow("group");
  });

  test("ends with the signal's reason, and leaves the group", async () => {
    const topic = await cluster.newTopic(1);
    const group = newGroup();
    const stop = new AbortController();
    const records = cluster.client().consume(topic, { group, signal: stop.signal });
    await records.ready();
    const next = expect(records.next()).rejects.toThrow("enough");
    stop.abort(new Error("enough"));
    await next;
    const { groups } = cluster.client();
    while ((await groups.describe(group)).state !== "Empty");
  });
});
