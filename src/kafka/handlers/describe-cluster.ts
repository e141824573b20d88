import { errorRow } from "../../model/errors.ts";
import { CLUSTER_OPERATIONS } from "../authorized-operations.ts";
import { handler } from "../handler.ts";
import { describeClusterApi } from "../messages/describe-cluster.ts";

const BROKERS = 1;

export const describeCluster = handler(describeClusterApi, async (request, { session }) => {
  const clusterId = await session.clusterId();
  if (request.endpointType !== BROKERS) {
    const { code: errorCode } = errorRow("MISMATCHED_ENDPOINT_TYPE");
    return { errorCode, errorMessage: "this is a broker, not a controller", clusterId, brokers: [] };
  }
  const { all, controllerId } = session.brokers;
  return {
    errorCode: 0,
    clusterId,
    controllerId,
    brokers: all.map(({ nodeId: brokerId, host, port }) => ({ brokerId, host, port, isFenced: false })),
    clusterAuthorizedOperations: request.includeClusterAuthorizedOperations ? CLUSTER_OPERATIONS : undefined,
  };
});
