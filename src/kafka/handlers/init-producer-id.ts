import type { ProducerIdentity } from "../../../durable-objects/transaction/rpc.ts";
import { EdgelogError, type Failure, failure, isFailure } from "../../model/errors.ts";
import { handler } from "../handler.ts";
import { initProducerIdApi } from "../messages/init-producer-id.ts";
import type { RequestOf } from "../schema.ts";
import type { Session } from "../session.ts";
import { transactionErrorCode } from "../transaction-errors.ts";

type Request = RequestOf<typeof initProducerIdApi>;

const FIRST_VERSION_WITH_FENCED = 4;
const NO_PRODUCER = { producerId: -1, producerEpoch: -1 };

/** Producers without a transactional id get a new id each time they ask, whatever id they had (as in Kafka). */
export const initProducerId = handler(initProducerIdApi, async (request, { version, session }) => {
  const result = isHalfAProducer(request)
    ? failure("INVALID_REQUEST", "a producer that goes on has both an id and an epoch")
    : await producerOf(request, session);
  const errorCode = transactionErrorCode(result, version, FIRST_VERSION_WITH_FENCED);
  return isFailure(result) ? { errorCode, ...NO_PRODUCER } : { errorCode, ...result };
});

function isHalfAProducer({ producerId, producerEpoch }: ProducerIdentity): boolean {
  return (producerId === NO_PRODUCER.producerId) !== (producerEpoch === NO_PRODUCER.producerEpoch);
}

function producerOf(request: Request, session: Session): Promise<ProducerIdentity | Failure> {
  const { transactionalId } = request;
  return transactionalId === null
    ? newProducer(session)
    : transactionalProducer({ ...request, transactionalId }, session);
}

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
  request: Request & { readonly transactionalId: string },
  { cluster }: Session,
): Promise<ProducerIdentity | Failure> {
  const { transactionalId, transactionTimeoutMs, producerId, producerEpoch, enable2Pc, keepPreparedTxn } =
    request;
  if (enable2Pc) {
    return failure("TRANSACTIONAL_ID_AUTHORIZATION_FAILED", "two-phase commit (KIP-939) is not offered");
  }
  if (keepPreparedTxn) return failure("UNSUPPORTED_VERSION", "no transaction is kept (KIP-939)");
  const current = producerId === NO_PRODUCER.producerId ? null : { producerId, producerEpoch };
  return cluster.transaction(transactionalId).initProducerId({ transactionTimeoutMs, current });
}
