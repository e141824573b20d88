/** A member of a group at the level of the protocol: it reads nothing, and says what is its own. */

import { decodeResponse, encodeRequest } from "../../src/kafka/frame.ts";
import type { Api, FieldsRead, FieldsWritten } from "../../src/kafka/schema.ts";
import { tcpChannel } from "./channel.ts";
import { FramedClient } from "./framed-client.ts";
import type { PartitionOwners } from "./partition-owners.ts";

export interface GroupMember {
  /** Of its own, not that of the protocol. */
  readonly name: string;
  /** Gives up everything, and resolves when the coordinator knows. */
  leave(): Promise<void>;
}

export interface MemberOptions {
  readonly name: string;
  readonly url: string;
  readonly kafkaAddress: string;
  readonly group: string;
  readonly topic: string;
  readonly partitions: number;
  readonly owners: PartitionOwners;
}

const HEADER = { correlationId: 7, clientId: "bench" };

/** A member's connection, and its sleep between heartbeats. */
export class MemberConnection {
  readonly #client: FramedClient;
  #wake: () => void = () => undefined;
  #isWoken = false;

  static async open(kafkaAddress: string): Promise<MemberConnection> {
    return new MemberConnection(new FramedClient(await tcpChannel(kafkaAddress)));
  }

  private constructor(client: FramedClient) {
    this.#client = client;
  }

  async ask<A extends Api>(
    api: A,
    version: number,
    request: FieldsWritten<A["request"]["fields"]>,
  ): Promise<FieldsRead<A["response"]["fields"]>> {
    const answer = await this.#client.request(encodeRequest(api, version, HEADER, request));
    return decodeResponse(api, version, answer).response;
  }

  /** Until then, or until {@link wake}, whichever comes first. */
  sleep(ms: number): Promise<void> {
    if (this.#isWoken) return Promise.resolve();
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, ms);
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }

  /** For good. */
  wake(): void {
    this.#isWoken = true;
    this.#wake();
  }

  close(): void {
    this.#client.close();
  }
}

/** Those of `first` that are not in `second`. */
export function without(first: Iterable<number>, second: ReadonlySet<number>): number[] {
  return [...first].filter((partition) => !second.has(partition));
}
