import { EdgelogError, type ErrorName } from "../model/errors.ts";

/**
 * Why a record was not acknowledged. `code` is Kafka's name of the error, `cause` the last one met on the way.
 */
export class DeliveryError extends EdgelogError {
  /**
   * True where a request that carried the record was lost without an answer: the record may be in the log. It is there at
   * most once, and before anything that the producer sent to the partition later.
   */
  readonly mayBeStored: boolean;

  constructor(code: ErrorName, message: string, mayBeStored: boolean, options?: ErrorOptions) {
    super(code, message, options);
    this.name = "DeliveryError";
    this.mayBeStored = mayBeStored;
  }
}
