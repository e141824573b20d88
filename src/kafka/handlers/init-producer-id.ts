import type { ProducerIdentity } from "../../../durable-objects/transaction/rpc.ts";
import { EdgelogError, type Failure, failure, isFailure } from "../../model/errors.ts";
import { handler } from "../handler.ts";
import { initProducerIdApi } from "../messages/init-producer-id.ts";
import type { RequestOf } from "../schema.ts";
import type { Session } from "../session.ts";
import { transactionErrorCode } from "../transaction-errors.ts";

const FIRST_VERSION_WITH_FENCED = 4;
const NO_PRODUCER = { producerId: -1, producerEpoch: -1 };

/** Producers without a transactional id get a new id each time they ask, whatever id they had (as in Kafka). */
export const initProducerId = handler(initProducerIdApi, async (request, { version, session }) => {
  const { transactionalId } = request;
  const result =
    transactionalId === null
      ? await newProducer(session)
      : await transactionalProducer({ ...request, transactionalId }, session);
  const errorCode = transactionErrorCode(result, version, FIRST_VERSION_WITH_FENCED);
  return isFailure(result) ? { errorCode, ...NO_PRODUCER } : { errorCode, ...result };
});

async function newProducer({ cluster }: Session): Promise<ProducerIdentity | Failure> {
  try {
    return { producerId: await cluster.allocateProducerId(), producerEpoch: 0 };
  } catch (error) {
    if (!(error instanceof EdgelogError)) throw error;
    // What producers retry: the errors of storage they take for fatal here.
    return failure("COORDINATOR_LOAD_IN_PROGRESS", error.message);
  }
}

async function transactionalProducer(
  request: RequestOf<typeof initProducerIdApi> & { readonly transactionalId: string },
  { cluster }: Session,
): Promise<ProducerIdentity | Failure> {
  const { transactionalId, transactionTimeoutMs, producerId, producerEpoch, enable2Pc } = request;
  if (enable2Pc) {
    return failure("TRANSACTIONAL_ID_AUTHORIZATION_FAILED", "two-phase commit (KIP-939) is not offered");
  }
  const current = producerId === -1 ? null : { producerId, producerEpoch };
  return cluster.transaction(transactionalId).initProducerId({ transactionTimeoutMs, current });
}
