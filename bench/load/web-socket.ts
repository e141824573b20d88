/** A WebSocket client over a bare socket: thousands of them cost little. */

import { randomBytes } from "node:crypto";
import type { Socket } from "node:net";
import { connectTcp } from "./channel.ts";

const TEXT = 1;
const BINARY = 2;
const PAYLOAD_16 = 126;
const PAYLOAD_64 = 127;

export interface Heard {
  binary(): void;
  text?(text: string): void;
}

export class ListeningSocket {
  readonly #socket: Socket;
  readonly #heard: Heard;
  #rest: Buffer = Buffer.alloc(0);
  #isOpen: PromiseWithResolvers<void> | undefined = Promise.withResolvers<void>();

  static async open(
    url: string,
    path: string,
    subprotocol: string | undefined,
    heard: Heard,
  ): Promise<ListeningSocket> {
    const { host } = new URL(url);
    const socket = new ListeningSocket(await connectTcp(host), heard);
    await socket.#upgrade(host, path, subprotocol);
    return socket;
  }

  private constructor(socket: Socket, heard: Heard) {
    this.#socket = socket;
    this.#heard = heard;
  }

  /** @param text at most 125 bytes */
  send(text: string): void {
    const bytes = Buffer.from(text);
    // Masked with zeros, which changes nothing.
    this.#socket.write(Buffer.concat([Buffer.from([0x80 | TEXT, 0x80 | bytes.length, 0, 0, 0, 0]), bytes]));
  }

  close(): void {
    this.#socket.destroy();
  }

  #upgrade(host: string, path: string, subprotocol: string | undefined): Promise<void> | undefined {
    const { promise } = this.#isOpen ?? {};
    this.#socket.on("data", (chunk: Buffer) => this.#take(chunk));
    this.#socket.on("close", () => this.#isOpen?.reject(new Error("the WebSocket was closed")));
    const lines = [
      `GET ${path} HTTP/1.1`,
      `host: ${host}`,
      "upgrade: websocket",
      "connection: Upgrade",
      "sec-websocket-version: 13",
      `sec-websocket-key: ${randomBytes(16).toString("base64")}`,
      ...(subprotocol === undefined ? [] : [`sec-websocket-protocol: ${subprotocol}`]),
    ];
    this.#socket.write(`${lines.join("\r\n")}\r\n\r\n`);
    return promise;
  }

  #take(chunk: Buffer): void {
    let bytes = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk]);
    if (this.#isOpen !== undefined) {
      const end = bytes.indexOf("\r\n\r\n");
      if (end >= 0) {
        const head = bytes.toString("latin1", 0, end);
        if (head.startsWith("HTTP/1.1 101")) this.#isOpen.resolve();
        else this.#isOpen.reject(new Error(head.split("\r\n")[0]));
        this.#isOpen = undefined;
        bytes = bytes.subarray(end + 4);
      }
    }
    while (this.#isOpen === undefined) {
      const end = endOfFrame(bytes);
      if (end === undefined) break;
      const kind = (bytes[0] ?? 0) & 0x0f;
      if (kind === BINARY) this.#heard.binary();
      else if (kind === TEXT) this.#heard.text?.(bytes.toString("utf8", 2, end));
      bytes = bytes.subarray(end);
    }
    this.#rest = bytes;
  }
}

/** Of the first frame, which a server does not mask; undefined if it is not whole yet. */
function endOfFrame(bytes: Buffer): number | undefined {
  if (bytes.length < 2) return undefined;
  const short = (bytes[1] ?? 0) & 0x7f;
  const head = short === PAYLOAD_16 ? 4 : short === PAYLOAD_64 ? 10 : 2;
  if (bytes.length < head) return undefined;
  const length =
    short === PAYLOAD_16
      ? bytes.readUInt16BE(2)
      : short === PAYLOAD_64
        ? Number(bytes.readBigUInt64BE(2))
        : short;
  return bytes.length >= head + length ? head + length : undefined;
}
