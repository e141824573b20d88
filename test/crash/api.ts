/** The HTTP API as the workload uses it. Every outcome is a value: an answer, or that there was none. */

const ANSWER_MS_MAX = 30_000;
const decoder = new TextDecoder();

export type Answer<T> =
  | { readonly kind: "ok"; readonly value: T }
  /** The server said no. */
  | {
      readonly kind: "refused";
      readonly status: number;
      readonly code: string;
      readonly retriable: boolean;
      readonly text: string;
    }
  /** The connection ended: whether it was done is unknown. */
  | { readonly kind: "lost"; readonly reason: string };

export interface ReadOptions {
  readonly maxBytes: number;
  readonly maxWaitMs?: number;
}

export interface LogPart {
  readonly batches: Uint8Array;
  readonly logStart: number;
  readonly logEnd: number;
}

export class Api {
  readonly url: string;
  /** `host:port` of the Kafka listeners. */
  readonly kafka: readonly string[];

  constructor({ url, kafka }: { readonly url: string; readonly kafka: readonly string[] }) {
    this.url = url;
    this.kafka = kafka;
  }

  createTopic(
    name: string,
    partitions: number,
    configs: Readonly<Record<string, string>>,
  ): Promise<Answer<string>> {
    const body = JSON.stringify({ name, partitions, configs });
    return this.#send("POST", "/v1/topics", { body }, (taken) => text(json(taken), "id"));
  }

  /** Its id. */
  topic(name: string): Promise<Answer<string>> {
    return this.#send("GET", `/v1/topics/${name}`, {}, (taken) => text(json(taken), "id"));
  }

  deleteTopic(name: string): Promise<Answer<void>> {
    return this.#send("DELETE", `/v1/topics/${name}`, {}, () => undefined);
  }

  newProducerId(): Promise<Answer<number>> {
    return this.#send("POST", "/v1/producers", {}, (taken) => integer(json(taken), "producer_id"));
  }

  /** The offset of the batch's first record. */
  produce(topic: string, partition: number, batch: Uint8Array<ArrayBuffer>): Promise<Answer<number>> {
    return this.#send(
      "POST",
      `/v1/topics/${topic}/records?partition=${partition}`,
      { body: batch, type: "application/vnd.kafka.recordbatch" },
      (taken) => integer(member(member(json(taken), "records"), "0"), "offset"),
    );
  }

  read(topic: string, partition: number, offset: number, options: ReadOptions): Promise<Answer<LogPart>> {
    const wait = options.maxWaitMs === undefined ? "" : `&min_bytes=1&max_wait_ms=${options.maxWaitMs}`;
    return this.#send(
      "GET",
      `/v1/topics/${topic}/partitions/${partition}/records?offset=${offset}&max_bytes=${options.maxBytes}${wait}`,
      { accept: "application/vnd.kafka.recordbatch" },
      ({ body, headers }) => ({
        batches: body,
        logStart: Number(headers.get("edgelog-log-start-offset")),
        logEnd: Number(headers.get("edgelog-high-watermark")),
      }),
    );
  }

  offset(topic: string, partition: number, which: "earliest" | "latest"): Promise<Answer<number>> {
    const path = `/v1/topics/${topic}/partitions/${partition}/offsets?timestamp=${which}`;
    return this.#send("GET", path, {}, (taken) => integer(json(taken), "offset"));
  }

  deleteRecords(topic: string, partition: number, before: number): Promise<Answer<number>> {
    const path = `/v1/topics/${topic}/partitions/${partition}/records?before_offset=${before}`;
    return this.#send("DELETE", path, {}, (taken) => integer(json(taken), "log_start_offset"));
  }

  /** JSON from anywhere. */
  get<T>(path: string, parse: (json: unknown) => T): Promise<Answer<T>> {
    return this.#send("GET", path, {}, (taken) => parse(json(taken)));
  }

  async #send<T>(
    method: string,
    path: string,
    { body, type = "application/json", accept = "application/json" }: SendOptions,
    take: (taken: Taken) => T,
  ): Promise<Answer<T>> {
    let response: Response;
    let taken: Taken;
    try {
      response = await fetch(`${this.url}${path}`, {
        method,
        headers: { accept, ...(body !== undefined && { "content-type": type }) },
        ...(body !== undefined && { body }),
        signal: AbortSignal.timeout(ANSWER_MS_MAX),
      });
      taken = { body: new Uint8Array(await response.arrayBuffer()), headers: response.headers };
    } catch (error) {
      if (error instanceof DOMException && error.name === "TimeoutError") {
        return refusal(0, `no answer within ${ANSWER_MS_MAX} ms to ${method} ${path}`);
      }
      return { kind: "lost", reason: String(error) };
    }
    if (!response.ok) return refusal(response.status, decoder.decode(taken.body));
    return { kind: "ok", value: take(taken) };
  }
}

interface SendOptions {
  readonly body?: string | Uint8Array<ArrayBuffer>;
  readonly type?: string;
  readonly accept?: string;
}

interface Taken {
  readonly body: Uint8Array;
  readonly headers: Headers;
}

function refusal(status: number, body: string): Answer<never> {
  const [, code = ""] = /"code":"([A-Z_]+)"/.exec(body) ?? [];
  return {
    kind: "refused",
    status,
    code,
    retriable: body.includes('"retriable":true'),
    text: body.slice(0, 500),
  };
}

function json({ body }: Taken): unknown {
  return JSON.parse(decoder.decode(body));
}

function text(value: unknown, field: string): string {
  return String(member(value, field));
}

function integer(value: unknown, field: string): number {
  const found = member(value, field);
  if (typeof found === "number" && Number.isInteger(found)) return found;
  throw new TypeError(`${field} is ${JSON.stringify(found)} in ${JSON.stringify(value)}`);
}

function member(value: unknown, field: string): unknown {
  return typeof value === "object" && value !== null ? Reflect.get(value, field) : undefined;
}
