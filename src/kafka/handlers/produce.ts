import type { AppendResult } from "../../../durable-objects/partition/rpc.ts";
import type { TopicReference } from "../../cluster/cluster.ts";
import { BATCH_HEADER_BYTES } from "../../log/batch-header.ts";
import {
  EdgelogError,
  type ErrorName,
  errorRow,
  type Failure,
  failure,
  isFailure,
} from "../../model/errors.ts";
import { type Call, handler } from "../handler.ts";
import { produceApi } from "../messages/produce.ts";
import type { RequestOf } from "../schema.ts";

type Request = RequestOf<typeof produceApi>;
type PartitionData = Request["topicData"][number]["partitionData"][number];

const FIRST_VERSION_BY_ID = 13;
/** Before it zstd must not be used: clients that know no better could not read it (KIP-110). */
const FIRST_VERSION_WITH_ZSTD = 7;
/** The low byte of the batch's attributes. */
const CODEC_BYTE = 22;
const CODEC_BITS = 0x07;
const ZSTD = 4;
const ACKS = new Set([-1, 0, 1]);
/** Clients know TRANSACTION_ABORTABLE, and what begins a transaction in a partition is the batch itself (KIP-890). */
const FIRST_VERSION_WITH_ABORTABLE = 11;
const FIRST_VERSION_THAT_ADDS_PARTITIONS = 12;
/** "Not stored, send it again": every client does. On a throttled produce request librdkafka and sarama give up. */
const REFUSED_FOR_NOW = "NOT_ENOUGH_REPLICAS";
/** What is refused for now, but not known as such to every client. */
const RETRIABLE_ELSEWHERE = new Set<ErrorName>([
  "THROTTLING_QUOTA_EXCEEDED",
  "COORDINATOR_NOT_AVAILABLE",
  "COORDINATOR_LOAD_IN_PROGRESS",
  "NOT_COORDINATOR",
]);

/** Every append begins before the next request is looked at, so that a partition gets them in the client's order. */
export const produce = handler(
  produceApi,
  async (request, call) => {
    const responses = await Promise.all(
      request.topicData.map(async ({ name, topicId, partitionData }) => {
        const reference = call.version < FIRST_VERSION_BY_ID ? name : { id: topicId };
        const partitionResponses = await Promise.all(
          partitionData.map(async (data) => {
            const result = await append(request, reference, data, call);
            return { index: data.index, ...partitionResponse(result, call.version) };
          }),
        );
        return { name, topicId, partitionResponses };
      }),
    );
    if (request.acks !== 0) return { responses };
    const failed = responses.some(({ partitionResponses }) =>
      partitionResponses.some((one) => one.errorCode !== 0),
    );
    // There is no answer that could say it; as in Kafka, the end of the connection makes the client look again.
    if (failed)
      throw new EdgelogError("NETWORK_EXCEPTION", "a produce request without acks could not be appended");
    return undefined;
  },
  "produce",
);

function append(
  { acks, transactionalId }: Request,
  reference: TopicReference,
  { index, records }: PartitionData,
  { version, session }: Call,
): Promise<AppendResult | Failure> | Failure {
  if (!ACKS.has(acks)) return failure("INVALID_REQUIRED_ACKS", `acks is ${acks}; it must be -1, 0 or 1`);
  if (records === null || records.length < BATCH_HEADER_BYTES) {
    return failure("INVALID_RECORD", "a partition's records must be exactly one record batch");
  }
  if (version < FIRST_VERSION_WITH_ZSTD && ((records[CODEC_BYTE] ?? 0) & CODEC_BITS) === ZSTD) {
    return failure("UNSUPPORTED_COMPRESSION_TYPE", `zstd needs Produce version ${FIRST_VERSION_WITH_ZSTD}`);
  }
  const adds = version >= FIRST_VERSION_THAT_ADDS_PARTITIONS;
  const transaction = transactionalId === null ? undefined : { transactionalId, adds };
  return session.cluster.append(reference, index, records, { transaction });
}

function partitionResponse(result: AppendResult | Failure, version: number) {
  if (isFailure(result)) {
    const { code } = errorRow(inWordsOfVersion(result.error, version));
    return { errorCode: code, errorMessage: result.message, baseOffset: -1 };
  }
  const { baseOffset, logAppendTimeMs, logStartOffset } = result;
  return { errorCode: 0, baseOffset, logAppendTimeMs, logStartOffset };
}

/** As Kafka tells it of transactions (KIP-890). */
function inWordsOfVersion(error: ErrorName, version: number): ErrorName {
  if (RETRIABLE_ELSEWHERE.has(error)) return REFUSED_FOR_NOW;
  if (error === "PRODUCER_FENCED") return "INVALID_PRODUCER_EPOCH";
  if (error === "CONCURRENT_TRANSACTIONS" && version < FIRST_VERSION_THAT_ADDS_PARTITIONS) {
    return REFUSED_FOR_NOW;
  }
  const isUnknown = error === "TRANSACTION_ABORTABLE" && version < FIRST_VERSION_WITH_ABORTABLE;
  return isUnknown ? "INVALID_TXN_STATE" : error;
}
