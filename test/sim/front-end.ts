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
  async ask<T>(request: () => Promise<T>): Promise<T> {
    const { random, faults, scheduler } = this.platform;
    const late = () => scheduler.wait(random.next() * LATE_MS_MAX);
    const soon = () => scheduler.wait(random.next() * NETWORK_MS_MAX);
    if (random.chance(faults.requestsRepeated)) {
      this.platform.count("requests repeated");
      void (random.chance(0.5) ? soon() : late()).then(request).catch(() => undefined);
    }
    return this.askOnce(async () => {
      if (random.chance(faults.requestsLate)) await late();
      return request();
    });
  }

  /** As {@link ask}, but the request arrives at most once. */
  async askOnce<T>(request: () => Promise<T>): Promise<T> {
    const answer = await request();
    if (!this.platform.random.chance(this.platform.faults.answersLost)) return answer;
    throw new SimulatedFault("the answer was lost");
  }
}
