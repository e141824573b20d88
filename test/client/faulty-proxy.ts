/** A TCP proxy that loses connections where a test says: before a request goes on, or after it was served and before its answer comes back. */

import { createServer, type Server, Socket } from "node:net";

export type Fault =
  /** The request never arrives. */
  | "drop request"
  /** The request is served; the client is not told. */
  | "drop answer";

export class FaultyProxy {
  /** Decides for each chunk of a request; `text` is the chunk as latin-1. */
  fault: (text: string) => Fault | undefined = () => undefined;
  /** Called with each chunk that a client is about to get; true breaks the connection instead. */
  breaks: (chunk: Uint8Array) => boolean = () => false;
  /** Connections stay open, and nothing goes through them any more. Those made later are not concerned. */
  freezeAll(): void {
    for (const socket of this.#sockets) this.#frozen.add(socket);
  }
  readonly #frozen = new WeakSet<Socket>();
  readonly #sockets = new Set<Socket>();
  #server: Server | undefined;
  #url = "";

  get url(): string {
    return this.#url;
  }

  async start(target: URL): Promise<void> {
    const server = createServer((client) => this.#serve(client, target));
    this.#server = server;
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const address = server.address();
    if (typeof address === "object" && address !== null) this.#url = `http://127.0.0.1:${address.port}`;
  }

  /** How many clients are connected. */
  get connections(): number {
    return this.#sockets.size / 2;
  }

  /** Every connection breaks now. */
  breakAll(): void {
    for (const socket of this.#sockets) socket.destroy();
  }

  async stop(): Promise<void> {
    this.breakAll();
    await new Promise<void>((resolve) => {
      if (this.#server === undefined) resolve();
      else this.#server.close(() => resolve());
    });
  }

  #serve(client: Socket, target: URL): void {
    const upstream = new Socket();
    upstream.connect(Number(target.port), target.hostname);
    let dropsAnswer = false;
    const end = () => {
      client.destroy();
      upstream.destroy();
    };
    for (const socket of [client, upstream]) {
      this.#sockets.add(socket);
      socket.on("error", end);
      socket.on("close", () => {
        this.#sockets.delete(socket);
        end();
      });
    }
    client.on("data", (chunk) => {
      if (this.#frozen.has(client)) return;
      const fault = this.fault(chunk.toString("latin1"));
      if (fault === "drop request") return end();
      if (fault === "drop answer") dropsAnswer = true;
      upstream.write(chunk);
    });
    upstream.on("data", (chunk) => {
      if (this.#frozen.has(upstream)) return;
      if (dropsAnswer || this.breaks(chunk)) return end();
      client.write(chunk);
    });
  }
}
