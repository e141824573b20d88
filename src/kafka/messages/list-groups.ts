import { api, array, int16, int32, string } from "../schema.ts";

/** All groups; by state from version 4 on (KIP-518), by type from 5 on (KIP-848). */
export const listGroupsApi = api({
  key: 16,
  name: "ListGroups",
  versions: "0-5",
  flexible: 3,
  request: {
    statesFilter: array(string(), "4+"),
    typesFilter: array(string(), "5+"),
  },
  response: {
    throttleTimeMs: int32("1+").or(0),
    errorCode: int16(),
    groups: array({
      groupId: string(),
      protocolType: string(),
      groupState: string("4+"),
      groupType: string("5+"),
    }),
  },
});
