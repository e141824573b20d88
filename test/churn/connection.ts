import { setTimeout as delay } from "node:timers/promises";
import type { HostAndPort } from "../../src/kafka/brokers.ts";
import type { Api, FieldsRead, FieldsWritten } from "../../src/kafka/schema.ts";
import { RawClient } from "../kafka/raw-client.ts";

const AGAIN_MS = 100;

/** One request at a time, sent again over a new connection for as long as the cluster is away. */
export class Connection {
  readonly #address: HostAndPort;
  readonly #signal: AbortSignal;
  #client: RawClient | undefined;
  #turn: Promise<unknown> = Promise.resolve();

  /** With `signal` aborted, whatever is asked rejects. */
  constructor(address: HostAndPort, signal: AbortSignal) {
    this.#address = address;
    this.#signal = signal;
    signal.addEventListener("abort", () => this.close());
  }

  ask<A extends Api>(
    api: A,
    version: number,
    request: FieldsWritten<A["request"]["fields"]>,
  ): Promise<FieldsRead<A["response"]["fields"]>> {
    const answer = this.#turn.then(() => this.#ask(api, version, request));
    this.#turn = answer.catch(() => undefined);
    return answer;
  }

  async #ask<A extends Api>(
    api: A,
    version: number,
    request: FieldsWritten<A["request"]["fields"]>,
  ): Promise<FieldsRead<A["response"]["fields"]>> {
    for (;;) {
      this.#signal.throwIfAborted();
      try {
        this.#client ??= await RawClient.connect(this.#address);
        return await this.#client.ask(api, version, request);
      } catch {
        this.close();
        await delay(AGAIN_MS);
      }
    }
  }

  close(): void {
    this.#client?.close();
    this.#client = undefined;
  }
}
