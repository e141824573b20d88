import { api, array, int8, int16, int32, string } from "../schema.ts";

/**
 * Where the coordinator is: of a group (key type 0), a transactional id (1) or a share group (2). Several keys at
 * once from version 4 on (KIP-699).
 */
export const findCoordinatorApi = api({
  key: 10,
  name: "FindCoordinator",
  versions: "0-6",
  flexible: 3,
  request: {
    key: string("0-3").or(""),
    keyType: int8("1+").or(0),
    coordinatorKeys: array(string(), "4+").or([]),
  },
  response: {
    throttleTimeMs: int32("1+").or(0),
    errorCode: int16("0-3").or(0),
    errorMessage: string("1-3").nullable().or(null),
    nodeId: int32("0-3").or(-1),
    host: string("0-3").or(""),
    port: int32("0-3").or(-1),
    coordinators: array(
      {
        key: string(),
        nodeId: int32(),
        host: string(),
        port: int32(),
        errorCode: int16(),
        errorMessage: string().nullable().or(null),
      },
      "4+",
    ).or([]),
  },
});
