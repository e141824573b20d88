/**
 * `npm run test:churn -- --client all --minutes 5 --records 1000000 --members 5 --partitions 24 --seed 1`: a group of a
 * client's members, of which some are killed and others added at random all the time while records are produced. No
 * record may be left out, none out of order, no partition may have two owners, no committed offset may go back
 * (check.ts). `--kill-platform 20` kills the whole platform as often while the group rebalances. Exit code 1 on a
 * violation, 2 if nothing could be run.
 */

import { CLIENTS } from "./clients.ts";
import { shakeClients } from "./command.ts";
import { runChurn } from "./run.ts";

await shakeClients({
  clients: CLIENTS,
  defaults: {
    minutes: "5",
    records: "1000000",
    crowd: { name: "members", count: "5" },
    partitions: "24",
  },
  run: runChurn,
});
