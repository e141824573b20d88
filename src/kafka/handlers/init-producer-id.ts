import { EdgelogError, errorRow } from "../../model/errors.ts";
import { handler } from "../handler.ts";
import { initProducerIdApi } from "../messages/init-producer-id.ts";

const NO_PRODUCER = { producerId: -1, producerEpoch: -1 };

/** Idempotent producers get a new id each time they ask, whatever id they had (as in Kafka). */
export const initProducerId = handler(initProducerIdApi, async ({ transactionalId }, { session }) => {
  if (transactionalId === "") return { errorCode: errorRow("INVALID_REQUEST").code, ...NO_PRODUCER };
  // There are no transactions yet. Of the refusals, clients give up at once on this one.
  if (transactionalId !== null) {
    return { errorCode: errorRow("TRANSACTIONAL_ID_AUTHORIZATION_FAILED").code, ...NO_PRODUCER };
  }
  try {
    return { errorCode: 0, producerId: await session.cluster.allocateProducerId(), producerEpoch: 0 };
  } catch (error) {
    if (!(error instanceof EdgelogError)) throw error;
    // What producers retry: the errors of storage they take for fatal here.
    return { errorCode: errorRow("COORDINATOR_LOAD_IN_PROGRESS").code, ...NO_PRODUCER };
  }
});
