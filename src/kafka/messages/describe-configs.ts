import { api, array, bool, int8, int16, int32, string } from "../schema.ts";

/** The configs of topics and brokers, with where each value comes from (KIP-226). */
export const describeConfigsApi = api({
  key: 32,
  name: "DescribeConfigs",
  versions: "1-4",
  flexible: 4,
  request: {
    resources: array({
      resourceType: int8(),
      resourceName: string(),
      configurationKeys: array(string()).nullable(),
    }),
    includeSynonyms: bool().or(false),
    includeDocumentation: bool("3+").or(false),
  },
  response: {
    throttleTimeMs: int32().or(0),
    results: array({
      errorCode: int16(),
      errorMessage: string().nullable(),
      resourceType: int8(),
      resourceName: string(),
      configs: array({
        name: string(),
        value: string().nullable(),
        readOnly: bool(),
        configSource: int8().or(-1),
        isSensitive: bool(),
        synonyms: array({
          name: string(),
          value: string().nullable(),
          source: int8(),
        }),
        configType: int8("3+").or(0),
        documentation: string("3+").nullable(),
      }),
    }),
  },
});
