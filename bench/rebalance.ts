/**
 * One more member joins a group: for how long partitions are nobody's, by each protocol. Members are as light as their
 * protocol allows, all in one process, and read nothing: it is the coordinator and the protocol that are measured.
 */

import { median } from "./harness/latencies.ts";
import { createTopic, type RunningPlatform, withPlatform } from "./harness/platforms.ts";
import type { Answer, Bench, Question, TargetResult } from "./harness/question.ts";
import type { Cell } from "./harness/table.ts";
import { CLASSIC_HEARTBEAT_MS, ClassicMember } from "./load/group-classic.ts";
import { ConsumerMember } from "./load/group-consumer.ts";
import type { GroupMember, MemberOptions } from "./load/group-member.ts";
import { NativeMember } from "./load/group-native.ts";
import { PartitionOwners } from "./load/partition-owners.ts";

const TOPIC = "rebalanced";
const SETTLE_MS_MAX = 60_000;
const AT_ONCE = 10;

export const rebalance: Question = {
  name: "rebalance",
  title: "One member joins a group: who stops, for how long",
  answer: (bench) => withPlatform("edgelog", (platform) => measureAll(bench, platform)),
};

interface Protocol {
  readonly name: string;
  /** The partitions that stay must not stop. */
  readonly isIncremental: boolean;
  start(options: MemberOptions): Promise<GroupMember>;
}

interface Figures {
  readonly moved: readonly number[];
  readonly stayed: readonly number[];
  readonly stoppedMembers: number;
  /** From the joining until all partitions are divided again. */
  readonly ms: number;
}

async function measureAll(bench: Bench, platform: RunningPlatform): Promise<Answer> {
  const members = bench.pick({ quick: 20, normal: 100, full: 100 });
  const partitions = bench.pick({ quick: 200, normal: 1_000, full: 1_000 });
  const rounds = bench.pick({ quick: 1, normal: 2, full: 5 });
  const { id } = await createTopic(platform, TOPIC, partitions);
  const protocols: Protocol[] = [
    { name: "classic, eager", isIncremental: false, start: (options) => ClassicMember.start(options, false) },
    {
      name: "classic, cooperative",
      isIncremental: true,
      start: (options) => ClassicMember.start(options, true),
    },
    { name: "KIP-848", isIncremental: true, start: (options) => ConsumerMember.start(options, id) },
    { name: "native (WebSocket)", isIncremental: true, start: (options) => NativeMember.start(options) },
  ];
  const rows: Cell[][] = [];
  const targets: TargetResult[] = [];
  for (const [index, protocol] of protocols.entries()) {
    const say = (step: string, share: number) =>
      bench.progress(`${protocol.name}: ${step}`, (index + share) / protocols.length);
    const group = new Group(platform, protocol, index, partitions);
    const found: Figures[] = [];
    say(`${members} members join`, 0);
    await group.gather(members);
    for (let round = 0; round < rounds; round++) {
      say("one more", (round + 1) / (rounds + 1));
      found.push(await group.addOne());
    }
    await group.disperse();
    const moved = found.flatMap((one) => one.moved);
    const stayed = found.flatMap((one) => one.stayed);
    const stayedMax = Math.max(...stayed);
    rows.push([
      protocol.name,
      moved.length / rounds,
      median(moved),
      Math.max(...moved),
      stayed.length / rounds,
      median(stayed),
      stayedMax,
      median(found.map(({ stoppedMembers }) => stoppedMembers)),
      median(found.map(({ ms }) => ms)),
    ]);
    if (protocol.isIncremental) {
      targets.push({
        target: `a member joins ${members} others, ${protocol.name}: pause of partitions that stay`,
        measured: stayedMax,
        bound: { atMost: 0 },
        unit: "ms",
      });
    }
  }
  return { tables: [table(members, partitions, rows)], targets, notes: NOTES };
}

function table(members: number, partitions: number, rows: readonly Cell[][]) {
  return {
    title: `${members} members have ${partitions} partitions, and one more joins`,
    columns: [
      "protocol",
      { name: "partitions moved", digits: 0 },
      { name: "pause ms, median", digits: 0 },
      { name: "max", digits: 0 },
      { name: "partitions that stay", digits: 0 },
      { name: "pause ms, median", digits: 0 },
      { name: "max", digits: 0 },
      { name: "members stopped", digits: 0 },
      { name: "ms until all is divided", digits: 0 },
    ],
    rows,
  };
}

const NOTES = [
  "A pause is the time in which a partition is nobody's: from when its owner is told, and gives it up at once, until its next owner (or the same) is told that it has it. A member counts as stopped if it had nothing at all for a time.",
  `Most of a pause is the time until the next heartbeat: every ${CLASSIC_HEARTBEAT_MS} ms in the classic protocol, every 5,000 ms in KIP-848 (Kafka's defaults); a WebSocket is told at once.`,
];

/** One group of members, in which every partition has an owner between the rounds. */
class Group {
  readonly #options: Omit<MemberOptions, "name">;
  readonly #protocol: Protocol;
  readonly #owners: PartitionOwners;
  #members: GroupMember[] = [];
  #count = 0;

  constructor({ url, kafkaAddress }: RunningPlatform, protocol: Protocol, index: number, partitions: number) {
    this.#protocol = protocol;
    this.#owners = new PartitionOwners(partitions);
    const group = `rebalanced-${index}`;
    this.#options = { url, kafkaAddress, group, topic: TOPIC, partitions, owners: this.#owners };
  }

  async gather(count: number): Promise<void> {
    while (this.#members.length < count) {
      const some = Math.min(AT_ONCE, count - this.#members.length);
      this.#members.push(...(await Promise.all(Array.from({ length: some }, () => this.#start()))));
    }
    await this.#settled();
  }

  /** And takes it away again. */
  async addOne(): Promise<Figures> {
    this.#owners.begin();
    const beginMs = performance.now();
    const joining = await this.#start();
    this.#members.push(joining);
    await this.#settled();
    const figures = { ...this.#owners.end(), ms: performance.now() - beginMs };
    this.#members.pop();
    await joining.leave();
    await this.#settled();
    return figures;
  }

  async disperse(): Promise<void> {
    await Promise.all(this.#members.map((member) => member.leave()));
  }

  #start(): Promise<GroupMember> {
    return this.#protocol.start({ ...this.#options, name: `member ${++this.#count}` });
  }

  #settled(): Promise<void> {
    return this.#owners.settled(
      this.#members.map(({ name }) => name),
      SETTLE_MS_MAX,
    );
  }
}
