import { EdgelogError } from "../model/errors.ts";
import { GroupSubscription } from "./consumer/group/group-subscription.ts";
import type { GroupConsumeOptions, TopicPattern } from "./consumer/group/options.ts";
import type { ConsumeOptions } from "./consumer/options.ts";
import { Subscription } from "./consumer/subscription.ts";
import { Groups } from "./groups/groups.ts";
import { type OptionNames, requireKnown } from "./known-options.ts";
import { type FetchLike, platformFetch, platformWebSocket, type WebSocketConstructor } from "./platform.ts";
import { type ProducerOptions, whole } from "./producer/options.ts";
import { Producer } from "./producer/producer.ts";
import { Topics } from "./topics.ts";
import { Transport } from "./transport.ts";

export interface EdgelogOptions {
  /** Where the cluster is reached, such as `http://127.0.0.1:8787`. Kafka: `bootstrap.servers`. */
  readonly url: string;
  /** Proves who is asking; a cluster on loopback asks for none. Keep a root token out of web pages. Default: none. */
  readonly token?: string;
  /** Default: the platform's. In a Worker, a service binding's: `fetch: env.EDGELOG.fetch.bind(env.EDGELOG)`. */
  readonly fetch?: FetchLike;
  /** Default: the platform's. Node 20 has none: pass the one of the package `ws`. In a Worker with a service binding: {@link webSocketOver}. */
  readonly WebSocket?: WebSocketConstructor;
  /** How long a request may take, in ms; also, how long reading metadata is retried. Default 30,000. Kafka: `request.timeout.ms`. */
  readonly requestTimeoutMs?: number;
  /** Pause before the first retry, in ms; doubles with each. Default 100. Kafka: `retry.backoff.ms`. */
  readonly retryBackoffMs?: number;
  /** The longest pause between two tries, in ms. Default 1,000. Kafka: `retry.backoff.max.ms`. */
  readonly retryBackoffMaxMs?: number;
}

const CLIENT_OPTIONS: OptionNames<EdgelogOptions> = {
  url: true,
  token: true,
  fetch: true,
  WebSocket: true,
  requestTimeoutMs: true,
  retryBackoffMs: true,
  retryBackoffMaxMs: true,
};

/**
 * A client of an Edgelog cluster, for browsers, Node, Deno, Bun and Workers. It holds no connection of its own: making one is
 * free, and there is nothing to close but its producers.
 *
 * @example
 * const client = new Edgelog({ url: "http://127.0.0.1:8787" });
 * await client.producer({ topic: "greetings" }).send({ value: "hello" });
 * for await (const record of client.consume("greetings", { from: "earliest" })) console.log(record.text());
 */
export class Edgelog {
  /** Creates, describes, changes and deletes topics, and finds offsets. */
  readonly topics: Topics;
  /** Lists, describes and deletes consumer groups, tells how far they lag, and sets their offsets. */
  readonly groups: Groups;
  readonly #transport: Transport;
  readonly #webSocket: WebSocketConstructor | undefined;

  /** Throws INVALID_REQUEST for a URL that is none, INVALID_CONFIG for any other option. */
  constructor(options: EdgelogOptions) {
    requireKnown(options, CLIENT_OPTIONS);
    this.#transport = new Transport({
      url: options.url,
      token: options.token,
      fetch: options.fetch ?? platformFetch,
      requestTimeoutMs: whole("requestTimeoutMs", options.requestTimeoutMs, 30_000, 1),
      backoff: {
        firstMs: whole("retryBackoffMs", options.retryBackoffMs, 100, 1),
        maxMs: whole("retryBackoffMaxMs", options.retryBackoffMaxMs, 1_000, 1),
      },
    });
    this.#webSocket = options.WebSocket;
    this.topics = new Topics(this.#transport);
    this.groups = new Groups(this.#transport, this.topics);
  }

  /** Throws INVALID_CONFIG with the option that is wrong. */
  producer(options: ProducerOptions = {}): Producer {
    return new Producer(this.#transport, options);
  }

  /**
   * The records of topics as a member of a consumer group: its members share the partitions, and the group keeps how far it
   * has come with each. Every record is processed at least once. Joins when the first record is asked for; leaving the loop
   * leaves the group.
   *
   * Throws INVALID_CONFIG with the option that is wrong, INVALID_REQUEST where the platform has no WebSocket.
   *
   * @example
   * for await (const record of client.consume("orders", { group: "billing" })) await bill(record.json());
   */
  consume(topics: string | readonly string[] | TopicPattern, options: GroupConsumeOptions): GroupSubscription;
  /**
   * The records of a topic, from where you say and then as they come; of each partition in order, without gap or repeat,
   * over as many connections as it takes. Nothing is opened before the first record is asked for; leaving the loop closes it.
   *
   * Throws INVALID_CONFIG with the option that is wrong, INVALID_REQUEST where the platform has no WebSocket.
   */
  consume(topic: string, options?: ConsumeOptions): Subscription;
  consume(
    topics: string | readonly string[] | TopicPattern,
    options: ConsumeOptions | GroupConsumeOptions = {},
  ): Subscription | GroupSubscription {
    const wiring = {
      transport: this.#transport,
      topics: this.topics,
      WebSocket: this.#webSocket ?? platformWebSocket(),
    };
    if (isOfGroup(options)) return new GroupSubscription(topics, options, wiring);
    if (typeof topics === "string") return new Subscription(topics, options, wiring);
    throw new EdgelogError("INVALID_CONFIG", "several topics, or a pattern, are for consuming with a group");
  }
}

function isOfGroup(options: ConsumeOptions | GroupConsumeOptions): options is GroupConsumeOptions {
  return options.group !== undefined;
}
