import { api, array, bool, bytes, int16, int32, string } from "../schema.ts";
import { OPERATIONS_NOT_ASKED } from "./authorized-operations.ts";

/** Classic groups: state, members and their assignments. */
export const describeGroupsApi = api({
  key: 15,
  name: "DescribeGroups",
  versions: "0-6",
  flexible: 5,
  request: {
    groups: array(string()),
    includeAuthorizedOperations: bool("3+"),
  },
  response: {
    throttleTimeMs: int32("1+").or(0),
    groups: array({
      errorCode: int16(),
      errorMessage: string("6+").nullable().or(null),
      groupId: string(),
      groupState: string(),
      protocolType: string(),
      protocolData: string(),
      members: array({
        memberId: string(),
        groupInstanceId: string("4+").nullable().or(null),
        clientId: string(),
        clientHost: string(),
        memberMetadata: bytes(),
        memberAssignment: bytes(),
      }),
      authorizedOperations: int32("3+").or(OPERATIONS_NOT_ASKED),
    }),
  },
});
