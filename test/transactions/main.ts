/**
 * `npm run test:transactions -- --client all --minutes 3 --records 100000 --workers 4 --partitions 8 --seed 1`: workers of a
 * client read one topic and write to another, and commit where they are, in transactions, some of which they abort. They
 * are killed, frozen and replaced all the time, under the same transactional id or another. Each record must be in the
 * output once (check.ts). `--kill-platform 10` kills the whole platform as often besides. Exit code 1 on a violation, 2 if
 * nothing could be run.
 */

import { shakeClients } from "../churn/command.ts";
import { CLIENTS } from "./clients.ts";
import { runLoop } from "./run.ts";

await shakeClients({
  clients: CLIENTS,
  defaults: {
    minutes: "3",
    records: "100000",
    crowd: { name: "workers", count: "4" },
    partitions: "8",
  },
  run: ({ members, ...options }) => runLoop({ ...options, workers: members }),
});
