import { failure, isFailure } from "../../model/errors.ts";
import { errorCodeOf } from "../error-codes.ts";
import { handler } from "../handler.ts";
import { deleteRecordsApi } from "../messages/delete-records.ts";
import { perPartition } from "../per-partition.ts";

const TO_THE_END = -1;

export const deleteRecords = handler(deleteRecordsApi, async ({ topics }, { session: { cluster } }) => {
  const deleted = await perPartition(
    topics,
    ({ partitions }) => partitions,
    async ({ name }, { partitionIndex, offset }) => {
      const result =
        offset < TO_THE_END
          ? failure("OFFSET_OUT_OF_RANGE", `${offset} is no offset`)
          : await cluster.deleteRecords(name, partitionIndex, offset);
      const lowWatermark = isFailure(result) ? -1 : result.logStartOffset;
      return { partitionIndex, lowWatermark, errorCode: errorCodeOf(result) };
    },
  );
  return { topics: topics.map(({ name }, index) => ({ name, partitions: deleted[index] ?? [] })) };
});
