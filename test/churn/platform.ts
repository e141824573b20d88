import { Server } from "../crash/server.ts";

/** Short, as those of the members that say their own. */
const CONSUMER_SESSION_TIMEOUT_MS = 6_000;
const CONSUMER_HEARTBEAT_INTERVAL_MS = 1_000;

/** `edgelog serve`, which comes back at the same address when it has been killed. */
export class ChurnPlatform {
  readonly #dataDir: string;
  #ports: readonly string[] = ["0", "0"];
  #server: Server | undefined;
  #address = "";
  #url = "";

  constructor(dataDir: string) {
    this.#dataDir = dataDir;
  }

  /** Of its Kafka listener, `host:port`. */
  get address(): string {
    return this.#address;
  }

  /** Of its HTTP listener. */
  get url(): string {
    return this.#url;
  }

  /** What it has said last, for a failure. */
  get log(): string {
    return this.#server?.log ?? "";
  }

  async start(): Promise<void> {
    const [port = "0", kafkaPort = "0"] = this.#ports;
    this.#server = new Server({
      dataDir: this.#dataDir,
      args: [
        "--port",
        port,
        "--kafka-port",
        kafkaPort,
        "--group-initial-rebalance-delay",
        "0",
        "--group-consumer-session-timeout",
        String(CONSUMER_SESSION_TIMEOUT_MS),
        "--group-consumer-heartbeat-interval",
        String(CONSUMER_HEARTBEAT_INTERVAL_MS),
      ],
    });
    const { url, kafka } = await this.#server.listeners;
    this.#address = kafka[0] ?? "";
    this.#url = url;
    this.#ports = [new URL(url).port, this.#address.slice(this.#address.lastIndexOf(":") + 1)];
  }

  /** SIGKILL to all of its processes. */
  async kill(): Promise<void> {
    await this.#server?.kill();
  }
}
