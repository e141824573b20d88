import type { Channel } from "./channel.ts";

const LENGTH_BYTES = 4;

/** Requests and answers of a protocol whose frames begin with their length and whose answers come in order. */
export class FramedClient {
  readonly #channel: Channel;
  readonly #waiting: PromiseWithResolvers<Uint8Array>[] = [];
  #first = 0;
  #chunks: Uint8Array[] = [];
  #bytes = 0;
  #hasEnded = false;

  constructor(channel: Channel) {
    this.#channel = channel;
    channel.onData((chunk) => {
      if (chunk === undefined) this.#end();
      else this.#take(chunk);
    });
  }

  /** The answer without its length. The frame may be one that is under way already: it is not changed. */
  request(frame: readonly Uint8Array[]): Promise<Uint8Array> {
    if (this.#hasEnded) return Promise.reject(new Error("the connection has ended"));
    const answer = Promise.withResolvers<Uint8Array>();
    this.#waiting.push(answer);
    for (const part of frame) this.#channel.send(part);
    return answer.promise;
  }

  close(): void {
    this.#channel.close();
  }

  #take(chunk: Uint8Array): void {
    this.#chunks.push(chunk);
    this.#bytes += chunk.length;
    if (this.#bytes < LENGTH_BYTES) return;
    const [head = chunk] = this.#chunks;
    if (head.length >= LENGTH_BYTES && this.#bytes < LENGTH_BYTES + lengthAt(head, 0)) return;
    let bytes = this.#chunks.length === 1 ? chunk : Buffer.concat(this.#chunks);
    while (bytes.length >= LENGTH_BYTES) {
      const end = LENGTH_BYTES + lengthAt(bytes, 0);
      if (bytes.length < end) break;
      this.#answer(bytes.subarray(LENGTH_BYTES, end));
      bytes = bytes.subarray(end);
    }
    this.#chunks = bytes.length === 0 ? [] : [bytes];
    this.#bytes = bytes.length;
  }

  #answer(frame: Uint8Array): void {
    this.#waiting[this.#first++]?.resolve(frame);
    if (this.#first < 1_024) return;
    this.#waiting.splice(0, this.#first);
    this.#first = 0;
  }

  #end(): void {
    this.#hasEnded = true;
    for (const { reject } of this.#waiting.splice(this.#first)) reject(new Error("the connection ended"));
    this.#first = 0;
  }
}

function lengthAt(bytes: Uint8Array, at: number): number {
  return new DataView(bytes.buffer, bytes.byteOffset + at, LENGTH_BYTES).getInt32(0);
}
