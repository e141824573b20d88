import type { Socket } from "node:net";
import { connectTcp } from "./channel.ts";
import type { Consumer, Log, Prepared, Producer, Received } from "./system.ts";

const READ_COUNT = 1_000;

type Reply = Buffer | number | null | Reply[];

let logs = 0;

/** A Redis stream. */
export async function newRedisLog(address: string): Promise<Log> {
  const key = `bench-${Date.now()}-${logs++}`;
  const admin = await RedisClient.open(address);
  return {
    openProducer: async () => producerOf(await RedisClient.open(address), key),
    openConsumer: async () => consumerOf(await RedisClient.open(address), key),
    async remove() {
      await admin.send(command("DEL", key));
      admin.close();
    },
  };
}

function producerOf(client: RedisClient, key: string): Producer {
  return {
    prepare(values): Prepared {
      return [
        Buffer.concat(values.map((value) => command("XADD", key, "*", "v", value))),
        new Uint8Array(values.length),
      ];
    },
    async send([bytes = new Uint8Array(), count = bytes]) {
      await client.send(bytes, count.length);
    },
    close: () => client.close(),
  };
}

function consumerOf(client: RedisClient, key: string): Consumer {
  let last: string | Uint8Array = "0";
  return {
    async next(): Promise<Received> {
      for (;;) {
        const reply = await client.send(
          command("XREAD", "COUNT", String(READ_COUNT), "BLOCK", "500", "STREAMS", key, last),
        );
        const entries = listOf(listOf(listOf(reply)[0])[1]);
        const id = listOf(entries.at(-1))[0];
        if (!(id instanceof Buffer)) continue;
        last = id;
        return { records: entries.length, values: () => entries.map(valueIn) };
      }
    },
    close: () => client.close(),
  };
}

function valueIn(entry: Reply): Uint8Array {
  const value = listOf(listOf(entry)[1])[1];
  return value instanceof Buffer ? value : new Uint8Array();
}

function listOf(reply: Reply | undefined): Reply[] {
  return Array.isArray(reply) ? reply : [];
}

function command(...words: (string | Uint8Array)[]): Uint8Array {
  const parts = words.flatMap((word) => {
    const bytes = typeof word === "string" ? Buffer.from(word) : word;
    return [Buffer.from(`$${bytes.length}\r\n`), bytes, Buffer.from("\r\n")];
  });
  return Buffer.concat([Buffer.from(`*${words.length}\r\n`), ...parts]);
}

/** RESP, version 2. */
class RedisClient {
  readonly #socket: Socket;
  readonly #waiting: { left: number; readonly done: PromiseWithResolvers<Reply> }[] = [];
  #received: Buffer = Buffer.alloc(0);

  static async open(address: string): Promise<RedisClient> {
    return new RedisClient(await connectTcp(address));
  }

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.on("data", (chunk: Buffer) => this.#take(chunk));
  }

  /** Resolves with the last of the replies. */
  send(bytes: Uint8Array, replies = 1): Promise<Reply> {
    const done = Promise.withResolvers<Reply>();
    this.#waiting.push({ left: replies, done });
    this.#socket.write(bytes);
    return done.promise;
  }

  close(): void {
    this.#socket.destroy();
  }

  #take(chunk: Buffer): void {
    const bytes = this.#received.length === 0 ? chunk : Buffer.concat([this.#received, chunk]);
    let at = 0;
    for (;;) {
      const parsed = parse(bytes, at);
      if (parsed === undefined) break;
      at = parsed.end;
      const [first] = this.#waiting;
      if (first === undefined || --first.left > 0) continue;
      this.#waiting.shift();
      first.done.resolve(parsed.reply);
    }
    this.#received = bytes.subarray(at);
  }
}

function parse(bytes: Buffer, at: number): { readonly reply: Reply; readonly end: number } | undefined {
  const lineEnd = bytes.indexOf("\r\n", at);
  if (lineEnd < 0) return undefined;
  const line = bytes.toString("latin1", at + 1, lineEnd);
  const from = lineEnd + 2;
  switch (String.fromCharCode(bytes[at] ?? 0)) {
    case "-":
      throw new Error(`Redis: ${line}`);
    case "+":
      return { reply: Buffer.from(line), end: from };
    case ":":
      return { reply: Number(line), end: from };
    case "$": {
      const length = Number(line);
      if (length < 0) return { reply: null, end: from };
      if (bytes.length < from + length + 2) return undefined;
      return { reply: bytes.subarray(from, from + length), end: from + length + 2 };
    }
    default: {
      const reply: Reply[] = [];
      let end = from;
      if (Number(line) < 0) return { reply: null, end };
      for (let index = 0; index < Number(line); index++) {
        const item = parse(bytes, end);
        if (item === undefined) return undefined;
        reply.push(item.reply);
        end = item.end;
      }
      return { reply, end };
    }
  }
}
