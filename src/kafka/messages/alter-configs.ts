import { api, array, bool, int8, int16, int32, string } from "../schema.ts";

/**
 * Sets all configs of a resource: those not named go back to their defaults. IncrementalAlterConfigs replaces it.
 */
export const alterConfigsApi = api({
  key: 33,
  name: "AlterConfigs",
  versions: "0-2",
  flexible: 2,
  request: {
    resources: array({
      resourceType: int8(),
      resourceName: string(),
      configs: array({
        name: string(),
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
