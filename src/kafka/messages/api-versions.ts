import { api, array, bool, int16, int32, int64, string } from "../schema.ts";

/**
 * Which APIs this broker has, in which versions. Whatever version is asked, an answer can be read: the header has no
 * tags, and an unknown version is answered in version 0 with UNSUPPORTED_VERSION (KIP-511).
 */
export const apiVersionsApi = api({
  key: 18,
  name: "ApiVersions",
  versions: "0-5",
  flexible: 3,
  request: {
    clientSoftwareName: string("3+").ignorable(),
    clientSoftwareVersion: string("3+").ignorable(),
    clusterId: string("5+").nullable().or(null).ignorable(),
    nodeId: int32("5+").or(-1).ignorable(),
  },
  response: {
    errorCode: int16(),
    apiKeys: array({
      apiKey: int16(),
      minVersion: int16(),
      maxVersion: int16(),
    }),
    throttleTimeMs: int32("1+").or(0),
    supportedFeatures: array(
      {
        name: string(),
        minVersion: int16(),
        maxVersion: int16(),
      },
      "3+",
    ).tag(0),
    finalizedFeaturesEpoch: int64("3+").or(-1).tag(1),
    finalizedFeatures: array(
      {
        name: string(),
        maxVersionLevel: int16(),
        minVersionLevel: int16(),
      },
      "3+",
    ).tag(2),
    zkMigrationReady: bool("3+").or(false).tag(3),
  },
});
