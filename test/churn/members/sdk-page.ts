/**
 * A member of a group by the SDK, in a browser's page: connected by WebSocket, it commits by itself what it has processed.
 * What it says has reached the harness before it commits it, so that nothing of it is lost when the browser is killed.
 */

import { Edgelog } from "../../../src/client/index.ts";
import type { MemberTarget } from "../member.ts";
import { Commits } from "./commits.ts";
import { Report } from "./report.ts";
import { type Received, runsOf } from "./runs.ts";

declare global {
  /** Of the harness: writes down what the member says. */
  var tell: (text: string) => Promise<void>;
  var startMember: (target: MemberTarget) => void;
  var stopMember: () => Promise<void>;
}

/** Processed and committed together. */
const RECORDS_MAX = 500;
const EVERY_MS = 50;

globalThis.startMember = ({ url, topic, group }) => {
  let unsaid = "";
  const report = new Report((line) => {
    unsaid += line;
  });
  const commits = new Commits();
  let received: Received[] = [];
  let turn: Promise<void> = Promise.resolve();

  async function say(): Promise<void> {
    const text = unsaid;
    unsaid = "";
    if (text !== "") await tell(text);
  }

  function processReceived(): Promise<void> {
    turn = turn.then(async () => {
      const own = received;
      received = [];
      for (const { partition, first, ownership, values } of runsOf(own)) {
        report.processed(partition, first, values, ownership);
        commits.processed(partition, first + values.length);
      }
      await say();
      await commit(commits.due);
    });
    return turn;
  }

  async function commit(due: readonly (readonly [number, number])[]): Promise<void> {
    if (due.length === 0) return;
    try {
      await records.commit(due.map(([partition, offset]) => ({ topic, partition, offset })));
    } catch (error) {
      report.note(`a commit has failed: ${String(error)}`);
      return;
    }
    report.committed(due);
    commits.committed(due.filter(([partition]) => report.ownershipOf(partition) !== undefined));
    await say();
  }

  const records = new Edgelog({ url }).consume(topic, {
    group,
    from: "earliest",
    autoCommit: false,
    onAssigned: (partitions) => {
      report.assigned(partitions.map(({ partition }) => partition));
      void say();
    },
    onRevoked: async (partitions, lost) => {
      const numbers = partitions.map(({ partition }) => partition);
      if (lost) received = received.filter(({ partition }) => !numbers.includes(partition));
      else await processReceived();
      commits.gone(numbers);
      if (lost) report.lost(numbers);
      else report.revoked(numbers);
      await say();
    },
    onDisconnect: (reason) => report.note(`disconnected: ${String(reason)}`),
  });

  async function read(): Promise<void> {
    for await (const record of records) {
      const { partition, offset } = record;
      const ownership = report.ownershipOf(partition) ?? -1;
      received.push({ partition, offset, value: record.text() ?? "", ownership });
      if (received.length >= RECORDS_MAX) await processReceived();
    }
  }

  const timer = setInterval(() => void processReceived(), EVERY_MS);
  const ended = read().catch((error: unknown) => report.wrong(`the loop has failed: ${String(error)}`));
  globalThis.stopMember = async () => {
    clearInterval(timer);
    await processReceived();
    await records.close();
    await ended;
    await say();
  };
};
