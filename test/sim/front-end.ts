/** What stands between clients and objects: requests that come late or twice, answers that are lost. */

import { CONTROLLER_NAME, type ControllerRpc } from "../../durable-objects/controller/rpc.ts";
import type { PartitionRpc } from "../../durable-objects/partition/rpc.ts";
import { partitionObjectName } from "../../src/model/ids.ts";
import { LATE_MS_MAX, NETWORK_MS_MAX } from "./faults.ts";
import { SimulatedFault } from "./instance.ts";
import type { Platform } from "./platform.ts";

/** As the platform gives stubs: sockets are opened by `fetch`. */
export type PartitionStub = PartitionRpc & { fetch(request: Request): Promise<Response> };

export class FrontEnd {
  readonly platform: Platform;

  constructor(platform: Platform) {
    this.platform = platform;
  }

  get controller(): ControllerRpc {
    return this.platform.stub("CONTROLLER", CONTROLLER_NAME);
  }

  partition(topicId: string, partition: number): PartitionStub {
    return this.platform.stub("PARTITION", partitionObjectName({ topicId, partition, placement: 0 }));
  }

  /** The answer, or an exception: then nobody knows what has been done, and how often. */
  ask<T>(request: () => Promise<T>): Promise<T> {
    const { random, faults, scheduler } = this.platform;
    const after = async (msMax: number) => {
      await scheduler.wait(random.next() * msMax);
      return request();
    };
    const first = random.chance(faults.requestsLate) ? () => after(LATE_MS_MAX) : request;
    if (!random.chance(faults.requestsRepeated)) return this.askOnce(first);
    this.platform.count("requests repeated");
    const again = after(random.pick([NETWORK_MS_MAX, LATE_MS_MAX]));
    return this.askOnce(() => Promise.race([first(), again]));
  }

  /** As {@link ask}, but the request arrives at most once. */
  async askOnce<T>(request: () => Promise<T>): Promise<T> {
    const answer = await request();
    if (!this.platform.random.chance(this.platform.faults.answersLost)) return answer;
    throw new SimulatedFault("the answer was lost");
  }
}
