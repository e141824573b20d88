/** A member of a group by the SDK, in Node: connected by WebSocket, its positions committed by themselves. */

import { Edgelog } from "../../../src/client/index.ts";
import { memberArguments, onStop, stdoutReport } from "./process.ts";

const AUTO_COMMIT_INTERVAL_MS = 500;

const { url, topic, group } = memberArguments();
const report = stdoutReport();
const records = new Edgelog({ url }).consume(topic, {
  group,
  from: "earliest",
  autoCommitIntervalMs: AUTO_COMMIT_INTERVAL_MS,
  onAssigned: (partitions) => report.assigned(partitions.map(({ partition }) => partition)),
  onRevoked: (partitions, lost) => {
    const numbers = partitions.map(({ partition }) => partition);
    if (lost) report.lost(numbers);
    else report.revoked(numbers);
  },
  onDisconnect: (reason) => report.note(`disconnected: ${String(reason)}`),
});
onStop(() => records.close());
for await (const record of records) report.processed(record.partition, record.offset, [record.text() ?? ""]);
