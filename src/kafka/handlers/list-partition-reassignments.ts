import { handler } from "../handler.ts";
import { listPartitionReassignmentsApi } from "../messages/list-partition-reassignments.ts";

/** No partition is ever being moved: moving one is not built yet. */
export const listPartitionReassignments = handler(listPartitionReassignmentsApi, async () => ({
  errorCode: 0,
  errorMessage: null,
  topics: [],
}));
