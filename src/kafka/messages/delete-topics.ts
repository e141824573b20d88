import { api, array, int16, int32, string, uuid, ZERO_UUID } from "../schema.ts";

/** Deletes topics, by name, or from version 6 on by name or id (KIP-516). */
export const deleteTopicsApi = api({
  key: 20,
  name: "DeleteTopics",
  versions: "1-6",
  flexible: 4,
  request: {
    topics: array(
      {
        name: string().nullable().or(null),
        topicId: uuid().or(ZERO_UUID),
      },
      "6+",
    ).or([]),
    topicNames: array(string(), "0-5").or([]).ignorable(),
    timeoutMs: int32(),
  },
  response: {
    throttleTimeMs: int32().or(0),
    responses: array({
      name: string().nullable("6+"),
      topicId: uuid("6+"),
      errorCode: int16(),
      errorMessage: string("5+").nullable().or(null),
    }),
  },
});
