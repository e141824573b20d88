import { mapAtOnce } from "../../cluster/at-once.ts";
import { failure, isFailure } from "../../model/errors.ts";
import { KAFKA_PARTITIONS_AT_ONCE } from "../../model/limits.ts";
import { errorCodeOf } from "../error-codes.ts";
import { handler } from "../handler.ts";
import { deleteRecordsApi } from "../messages/delete-records.ts";

const TO_THE_END = -1;

export const deleteRecords = handler(deleteRecordsApi, async ({ topics }, { session: { cluster } }) => ({
  topics: await Promise.all(
    topics.map(async ({ name, partitions }) => ({
      name,
      partitions: await mapAtOnce(
        partitions,
        KAFKA_PARTITIONS_AT_ONCE,
        async ({ partitionIndex, offset }) => {
          const result =
            offset < TO_THE_END
              ? failure("OFFSET_OUT_OF_RANGE", `${offset} is no offset`)
              : await cluster.deleteRecords(name, partitionIndex, offset);
          const lowWatermark = isFailure(result) ? -1 : result.logStartOffset;
          return { partitionIndex, lowWatermark, errorCode: errorCodeOf(result) };
        },
      ),
    })),
  ),
}));
