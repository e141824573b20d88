import { api, array, bool, int8, int16, int32, string } from "../schema.ts";

/** Sets (0), resets (1), appends to (2) or takes from (3) single configs (KIP-339). */
export const incrementalAlterConfigsApi = api({
  key: 44,
  name: "IncrementalAlterConfigs",
  versions: "0-1",
  flexible: 1,
  request: {
    resources: array({
      resourceType: int8(),
      resourceName: string(),
      configs: array({
        name: string(),
        configOperation: int8(),
        value: string().nullable(),
      }),
    }),
    validateOnly: bool(),
  },
  response: {
    throttleTimeMs: int32().or(0),
    responses: array({
      errorCode: int16(),
      errorMessage: string().nullable(),
      resourceType: int8(),
      resourceName: string(),
    }),
  },
});
