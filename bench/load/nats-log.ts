import type { Socket } from "node:net";
import { connectTcp } from "./channel.ts";
import type { Consumer, Log, Prepared, Producer, Received } from "./system.ts";

const CRLF = Buffer.from("\r\n");
const ACKS = "acks";
const DELIVERED = "delivered";

interface Message {
  readonly subject: string;
  readonly reply: string | undefined;
  readonly headers: string | undefined;
  readonly payload: Uint8Array;
}

let logs = 0;

/** A JetStream stream on disk. */
export async function newNatsLog(address: string): Promise<Log> {
  const stream = `BENCH_${Date.now()}_${logs++}`;
  const subject = `bench.${stream}`;
  const admin = await NatsClient.open(address);
  await admin.ask(`$JS.API.STREAM.CREATE.${stream}`, {
    name: stream,
    subjects: [subject],
    storage: "file",
    retention: "limits",
    num_replicas: 1,
  });
  return {
    openProducer: async () => new NatsProducer(await NatsClient.open(address), subject),
    async openConsumer() {
      const client = await NatsClient.open(address);
      return NatsConsumer.create(client, stream);
    },
    async remove() {
      await admin.ask(`$JS.API.STREAM.DELETE.${stream}`, {});
      admin.close();
    },
  };
}

/** The lines of the protocol that are needed here. */
class NatsClient {
  readonly #socket: Socket;
  #received: Buffer = Buffer.alloc(0);
  #heard: (message: Message) => void = () => undefined;

  static async open(address: string): Promise<NatsClient> {
    const client = new NatsClient(await connectTcp(address));
    client.write(
      Buffer.from(`CONNECT ${JSON.stringify({ verbose: false, headers: true, no_responders: true })}\r\n`),
    );
    return client;
  }

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.on("data", (chunk: Buffer) => this.#take(chunk));
  }

  write(bytes: Uint8Array): void {
    this.#socket.write(bytes);
  }

  subscribe(subject: string, heard: (message: Message) => void): void {
    this.#heard = heard;
    this.#socket.write(`SUB ${subject} 1\r\n`);
  }

  publish(subject: string, payload: string): void {
    this.#socket.write(`PUB ${subject} ${Buffer.byteLength(payload)}\r\n${payload}\r\n`);
  }

  /** One question to JetStream's own API, on a client that does nothing else meanwhile. */
  async ask(subject: string, question: object): Promise<void> {
    const inbox = `_INBOX.${Math.random().toString(36).slice(2)}`;
    const answered = new Promise<Message>((resolve) => this.subscribe(inbox, resolve));
    const text = JSON.stringify(question);
    this.#socket.write(`PUB ${subject} ${inbox} ${Buffer.byteLength(text)}\r\n${text}\r\n`);
    const { payload } = await answered;
    const answer = JSON.parse(Buffer.from(payload).toString());
    this.#socket.write("UNSUB 1\r\n");
    if (answer.error !== undefined) throw new Error(`${subject}: ${JSON.stringify(answer.error)}`);
  }

  close(): void {
    this.#socket.destroy();
  }

  #take(chunk: Buffer): void {
    let bytes = this.#received.length === 0 ? chunk : Buffer.concat([this.#received, chunk]);
    for (;;) {
      const end = bytes.indexOf(CRLF);
      if (end < 0) break;
      const line = bytes.toString("latin1", 0, end);
      const words = line.split(" ");
      if (words[0] === "PING") this.#socket.write("PONG\r\n");
      if (words[0] === "-ERR") throw new Error(`NATS: ${line}`);
      if (words[0] !== "MSG" && words[0] !== "HMSG") {
        bytes = bytes.subarray(end + 2);
        continue;
      }
      const total = Number(words.at(-1));
      const from = end + 2;
      if (bytes.length < from + total + 2) break;
      const hasHeaders = words[0] === "HMSG";
      const headerBytes = hasHeaders ? Number(words.at(-2)) : 0;
      const sizes = hasHeaders ? 2 : 1;
      this.#heard({
        subject: words[1] ?? "",
        reply: words.length === 3 + sizes + 1 ? words[3] : undefined,
        headers: hasHeaders ? bytes.toString("latin1", from, from + headerBytes) : undefined,
        payload: bytes.subarray(from + headerBytes, from + total),
      });
      bytes = bytes.subarray(from + total + 2);
    }
    this.#received = bytes;
  }
}

class NatsProducer implements Producer {
  readonly #client: NatsClient;
  readonly #subject: string;
  /** Acknowledgements come in the order of the messages. */
  readonly #waiting: { left: number; readonly done: PromiseWithResolvers<void> }[] = [];

  constructor(client: NatsClient, subject: string) {
    this.#client = client;
    this.#subject = subject;
    client.subscribe(ACKS, ({ payload }) => {
      if (payload[2] !== 0x73) throw new Error(`NATS refused: ${Buffer.from(payload).toString()}`);
      const [first] = this.#waiting;
      if (first === undefined || --first.left > 0) return;
      this.#waiting.shift();
      first.done.resolve();
    });
  }

  prepare(values: readonly Uint8Array[]): Prepared {
    const parts = values.flatMap((value) => [
      Buffer.from(`PUB ${this.#subject} ${ACKS} ${value.length}\r\n`),
      value,
      CRLF,
    ]);
    return [Buffer.concat(parts), new Uint8Array(values.length)];
  }

  send([bytes = new Uint8Array(), count = bytes]: Prepared): Promise<void> {
    const done = Promise.withResolvers<void>();
    this.#waiting.push({ left: count.length, done });
    this.#client.write(bytes);
    return done.promise;
  }

  close(): void {
    this.#client.close();
  }
}

class NatsConsumer implements Consumer {
  readonly #client: NatsClient;
  #values: Uint8Array[] = [];
  #came = Promise.withResolvers<void>();

  static async create(client: NatsClient, stream: string): Promise<NatsConsumer> {
    const inbox = `${DELIVERED}.${stream}.${logs++}`;
    await client.ask(`$JS.API.CONSUMER.CREATE.${stream}`, {
      stream_name: stream,
      config: {
        deliver_subject: inbox,
        deliver_policy: "all",
        ack_policy: "none",
        replay_policy: "instant",
        flow_control: true,
        idle_heartbeat: 5_000_000_000,
      },
    });
    return new NatsConsumer(client, inbox);
  }

  private constructor(client: NatsClient, inbox: string) {
    this.#client = client;
    client.subscribe(inbox, ({ headers, reply, payload }) => {
      if (headers !== undefined) {
        // A flow control request wants an answer; a heartbeat does not.
        if (reply !== undefined) client.publish(reply, "");
        return;
      }
      this.#values.push(payload);
      this.#came.resolve();
    });
  }

  async next(): Promise<Received> {
    while (this.#values.length === 0) {
      this.#came = Promise.withResolvers<void>();
      await this.#came.promise;
    }
    const values = this.#values;
    this.#values = [];
    return { records: values.length, values: () => values };
  }

  close(): void {
    this.#client.close();
  }
}
