import type { WebSocketConstructor } from "./platform.ts";

/** What a Worker's `fetch` answers to a request for an upgrade: a `Response` that has a `webSocket`. */
interface UpgradeResponse {
  readonly status: number;
  readonly webSocket?: WorkersWebSocket | null;
  text(): Promise<string>;
}

interface WorkersWebSocket {
  accept(): void;
  send(data: string): void;
  close(code?: number, reason?: string): void;
  addEventListener(type: "close" | "error" | "message", listener: (event: object) => void): void;
}

/** All that an event may say; which of it depends on its type. */
interface SocketEvent {
  readonly data: unknown;
  readonly code: number;
  readonly reason: string;
  readonly message: string;
}

/**
 * A WebSocket constructor over a `fetch` that can answer with a WebSocket: for a Worker that reaches the cluster by a service
 * binding and not over the network.
 *
 * @example
 * const fetch = env.EDGELOG.fetch.bind(env.EDGELOG);
 * const client = new Edgelog({ url: "https://edgelog", fetch, WebSocket: webSocketOver(fetch) });
 */
export function webSocketOver(
  fetch: (url: string, options: { headers: Record<string, string> }) => Promise<UpgradeResponse>,
): WebSocketConstructor {
  return class WebSocketOverFetch {
    readonly #listeners: { readonly type: string; readonly listener: (event: SocketEvent) => void }[] = [];
    #socket: WorkersWebSocket | undefined;
    #isClosed = false;

    constructor(url: string, protocols: string[]) {
      const headers = { upgrade: "websocket", "sec-websocket-protocol": protocols.join(", ") };
      fetch(url.replace(/^ws/, "http"), { headers })
        .then((response) => this.#answered(response))
        .catch((error) => this.#dispatch("error", { message: String(error) }));
    }

    get readyState(): number {
      if (this.#isClosed) return CLOSED;
      return this.#socket === undefined ? CONNECTING : OPEN;
    }

    send(data: string): void {
      this.#socket?.send(data);
    }

    close(code?: number, reason?: string): void {
      this.#isClosed = true;
      this.#socket?.close(code, reason);
    }

    addEventListener(type: string, listener: (event: SocketEvent) => void): void {
      this.#listeners.push({ type, listener });
    }

    async #answered(response: UpgradeResponse): Promise<void> {
      const socket = response.webSocket;
      if (socket === undefined || socket === null) {
        throw new Error(`HTTP ${response.status}: ${(await response.text()).slice(0, 200)}`);
      }
      for (const type of ["message", "close", "error"] as const) {
        socket.addEventListener(type, (event) => this.#dispatch(type, event));
      }
      // Where the default is Blob.
      Reflect.set(socket, "binaryType", "arraybuffer");
      socket.accept();
      if (this.#isClosed) {
        socket.close(1000);
        return;
      }
      this.#socket = socket;
      this.#dispatch("open", {});
    }

    #dispatch(type: string, { data, code = 1006, reason = "", message = "" }: Partial<SocketEvent>): void {
      if (type === "close" || type === "error") this.#isClosed = true;
      for (const each of this.#listeners) {
        if (each.type === type) each.listener({ data, code, reason, message });
      }
    }
  };
}

const CONNECTING = 0;
const OPEN = 1;
const CLOSED = 3;
