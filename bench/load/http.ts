/** HTTP at the least cost to the machine: one request at a time on a connection that is kept, over a bare socket. */

import type { Socket } from "node:net";
import { connectTcp } from "./channel.ts";

const END_OF_HEAD = "\r\n\r\n";

export class HttpConnection {
  readonly #socket: Socket;
  #received: Uint8Array = new Uint8Array();
  #waiting: PromiseWithResolvers<string> | undefined;

  static async open(url: string): Promise<HttpConnection> {
    return new HttpConnection(await connectTcp(new URL(url).host));
  }

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.on("data", (chunk) => this.#take(chunk));
    socket.on("close", () => this.#waiting?.reject(new Error("the connection ended")));
  }

  /** A whole request as bytes, to be sent as often as one likes. */
  static post(path: string, type: string, body: Uint8Array): Uint8Array {
    const head = `POST ${path} HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: ${type}\r\nprefer: return=minimal\r\ncontent-length: ${body.length}${END_OF_HEAD}`;
    return Buffer.concat([Buffer.from(head), body]);
  }

  static get(path: string, accept: string): Uint8Array {
    return Buffer.from(`GET ${path} HTTP/1.1\r\nhost: 127.0.0.1\r\naccept: ${accept}${END_OF_HEAD}`);
  }

  /** The body of the answer, which must say 200. */
  request(bytes: Uint8Array): Promise<string> {
    this.#waiting = Promise.withResolvers<string>();
    this.#socket.write(bytes);
    return this.#waiting.promise;
  }

  close(): void {
    this.#socket.destroy();
  }

  #take(chunk: Uint8Array): void {
    this.#received = this.#received.length === 0 ? chunk : Buffer.concat([this.#received, chunk]);
    const text = Buffer.from(this.#received).toString("latin1");
    const headEnd = text.indexOf(END_OF_HEAD);
    if (headEnd < 0) return;
    const head = text.slice(0, headEnd);
    const rest = text.slice(headEnd + END_OF_HEAD.length);
    const length = /content-length: (\d+)/i.exec(head)?.[1];
    const isWhole = length === undefined ? rest.endsWith("0\r\n\r\n") : rest.length >= Number(length);
    if (!isWhole) return;
    this.#received = new Uint8Array();
    if (head.startsWith("HTTP/1.1 200")) this.#waiting?.resolve(rest);
    else this.#waiting?.reject(new Error(`${head.split("\r\n")[0]}: ${rest.slice(0, 200)}`));
  }
}
