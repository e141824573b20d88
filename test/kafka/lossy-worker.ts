/** The Worker, where the answer to every other append is lost after the batch has been stored. */

import { PartitionLog as RealPartitionLog } from "../../durable-objects/partition/partition-log.ts";
import type { AppendRequest } from "../../durable-objects/partition/rpc.ts";
import worker from "../../src/worker.ts";

// What the Worker has to say of each lost answer is nothing new here.
console.warn = () => {};

// But for PartitionLog, which is our own.
export * from "../../src/worker.ts";

export class PartitionLog extends RealPartitionLog {
  #appends = 0;

  override async append(request: AppendRequest) {
    const answer = await super.append(request);
    if (this.#appends++ % 2 === 0) throw new Error("the answer is lost, as the test wants it");
    return answer;
  }
}

export default worker;
