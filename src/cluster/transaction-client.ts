import type {
  AddGroupRequest,
  AddPartitionsRequest,
  EndTransactionRequest,
  InitProducerIdRequest,
  JoinedTransaction,
  JoinTransactionRequest,
  ProducerIdentity,
  TransactionDescription,
  TransactionRpc,
} from "../../durable-objects/transaction/rpc.ts";
import type { Env } from "../env.ts";
import { type Failure, failure, isFailure } from "../model/errors.ts";
import { transactionalIdProblem } from "../model/ids.ts";
import { callObject } from "./stub-errors.ts";

/**
 * The coordinator of a transactional id as front ends call it: an id that no object can have is INVALID_REQUEST, an
 * exception of the stub COORDINATOR_NOT_AVAILABLE, which every client retries. What may be done twice is tried twice.
 */
export class TransactionClient implements TransactionRpc {
  readonly transactionalId: string;
  readonly #namespace: Env["TRANSACTION"];
  readonly #problem: Failure | undefined;

  constructor(namespace: Env["TRANSACTION"], transactionalId: string) {
    this.transactionalId = transactionalId;
    this.#namespace = namespace;
    const problem = transactionalIdProblem(transactionalId);
    this.#problem = problem === undefined ? undefined : failure("INVALID_REQUEST", problem);
  }

  initProducerId(request: InitProducerIdRequest): Promise<ProducerIdentity | Failure> {
    return this.#call("write", (coordinator) => coordinator.initProducerId(request));
  }

  addPartitions(request: AddPartitionsRequest): Promise<Failure | null> {
    return this.#call("read", (coordinator) => coordinator.addPartitions(request));
  }

  addGroup(request: AddGroupRequest): Promise<Failure | null> {
    return this.#call("read", (coordinator) => coordinator.addGroup(request));
  }

  join(request: JoinTransactionRequest): Promise<JoinedTransaction | Failure> {
    return this.#call("read", (coordinator) => coordinator.join(request));
  }

  /** Once: before EndTxn version 5, what comes late may end the next transaction. */
  endTransaction(request: EndTransactionRequest): Promise<ProducerIdentity | Failure> {
    return this.#call("write", (coordinator) => coordinator.endTransaction(request));
  }

  describe(): Promise<TransactionDescription | Failure> {
    return this.#call("read", (coordinator) => coordinator.describe());
  }

  async #call<T>(
    kind: "read" | "write",
    method: (coordinator: TransactionRpc) => Promise<T>,
  ): Promise<T | Failure> {
    if (this.#problem !== undefined) return this.#problem;
    const id = this.#namespace.idFromName(this.transactionalId);
    const object = `the coordinator of transactional id ${JSON.stringify(this.transactionalId)}`;
    const result = await callObject(object, kind, () => method(this.#namespace.get(id)));
    if (!isFailure(result) || result.error !== "KAFKA_STORAGE_ERROR") return result;
    return failure("COORDINATOR_NOT_AVAILABLE", result.message);
  }
}
