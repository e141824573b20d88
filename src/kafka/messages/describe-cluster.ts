import { api, array, bool, int8, int16, int32, string } from "../schema.ts";
import { OPERATIONS_NOT_ASKED } from "./authorized-operations.ts";

/** The brokers and the cluster id (KIP-700); or, with endpoint type 2, the controllers (KIP-919). */
export const describeClusterApi = api({
  key: 60,
  name: "DescribeCluster",
  versions: "0-2",
  flexible: 0,
  request: {
    includeClusterAuthorizedOperations: bool(),
    endpointType: int8("1+").or(1),
    includeFencedBrokers: bool("2+"),
  },
  response: {
    throttleTimeMs: int32().or(0),
    errorCode: int16(),
    errorMessage: string().nullable().or(null),
    endpointType: int8("1+").or(1),
    clusterId: string(),
    controllerId: int32().or(-1),
    brokers: array({
      brokerId: int32(),
      host: string(),
      port: int32(),
      rack: string().nullable().or(null),
      isFenced: bool("2+"),
    }),
    clusterAuthorizedOperations: int32().or(OPERATIONS_NOT_ASKED),
  },
});
