/** The door: everything that reaches the Worker comes in here. */

import type { Env } from "./env.ts";
import { createApp } from "./http/app.ts";
import { connectKafka } from "./kafka/tcp.ts";

export { Controller } from "../durable-objects/controller/controller.ts";
export { GroupCoordinator } from "../durable-objects/group/group-coordinator.ts";
export { PartitionLog } from "../durable-objects/partition/partition-log.ts";
export { TransactionCoordinator } from "../durable-objects/transaction/transaction-coordinator.ts";
export { Edgelog } from "./rpc/edgelog.ts";

const app = createApp();

export default {
  fetch(request, env, context) {
    return app.fetch(request, env, context);
  },
  connect(socket, env) {
    return connectKafka(socket, env);
  },
} satisfies ExportedHandler<Env>;
