/** The door: everything that reaches the Worker comes in here. */

export { Controller } from "../durable-objects/controller/controller.ts";
export { PartitionLog } from "../durable-objects/partition/partition-log.ts";

export default {
  fetch(): Response {
    return new Response("Not found", { status: 404 });
  },
} satisfies ExportedHandler;
