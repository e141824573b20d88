import { type Failure, failure, isFailure } from "../../model/errors.ts";
import { groupIdProblem, transactionalIdProblem } from "../../model/ids.ts";
import type { Broker, Brokers } from "../brokers.ts";
import { errorFields } from "../error-codes.ts";
import { handler } from "../handler.ts";
import { findCoordinatorApi } from "../messages/find-coordinator.ts";

const GROUP = 0;
const TRANSACTION = 1;
const NOWHERE = { nodeId: -1, host: "", port: -1 };

/** Any broker reaches any coordinator; which one is named only spreads the clients' connections. */
export const findCoordinator = handler(
  findCoordinatorApi,
  async ({ key, keyType, coordinatorKeys }, { version, session: { brokers } }) => {
    const find = (sought: string) => {
      const found = coordinator(sought, keyType, brokers);
      return { ...errorFields(found), ...(isFailure(found) ? NOWHERE : found) };
    };
    if (version < 4) return find(key);
    return { coordinators: coordinatorKeys.map((sought) => ({ key: sought, ...find(sought) })) };
  },
);

function coordinator(key: string, keyType: number, brokers: Brokers): Broker | Failure {
  if (keyType !== GROUP && keyType !== TRANSACTION) {
    return failure("INVALID_REQUEST", `there are no coordinators of key type ${keyType} here`);
  }
  const problem = keyType === GROUP ? groupIdProblem(key) : transactionalIdProblem(key);
  if (problem !== undefined)
    return failure(keyType === GROUP ? "INVALID_GROUP_ID" : "INVALID_REQUEST", problem);
  return brokers.coordinatorOf(key) ?? failure("COORDINATOR_NOT_AVAILABLE", "there are no brokers");
}
