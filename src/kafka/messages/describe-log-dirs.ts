import { api, array, bool, int16, int32, int64, string } from "../schema.ts";

/** What the partitions take on disk (KIP-113). */
export const describeLogDirsApi = api({
  key: 35,
  name: "DescribeLogDirs",
  versions: "1-5",
  flexible: 2,
  request: {
    topics: array({
      topic: string(),
      partitions: array(int32()),
    }).nullable(),
  },
  response: {
    throttleTimeMs: int32().or(0),
    errorCode: int16("3+"),
    results: array({
      errorCode: int16(),
      logDir: string(),
      topics: array({
        name: string(),
        partitions: array({
          partitionIndex: int32(),
          partitionSize: int64(),
          offsetLag: int64(),
          isFutureKey: bool(),
        }),
      }),
      totalBytes: int64("4+").or(-1),
      usableBytes: int64("4+").or(-1),
      isCordoned: bool("5+").or(false),
    }),
  },
});
