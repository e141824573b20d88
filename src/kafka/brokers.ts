/**
 * The virtual brokers: one cluster seen through one or several addresses. Any of them answers for every partition;
 * spreading the leaders over them only spreads the clients' connections.
 */

import type { Env } from "../env.ts";
import type { Topic } from "../model/topic.ts";

export interface Broker {
  /** Counted from 0. */
  readonly nodeId: number;
  readonly host: string;
  readonly port: number;
}

export interface HostAndPort {
  readonly host: string;
  readonly port: number;
}

/** A cluster of one address accepts topics of so many replicas: tools ask for three without thinking. */
const REPLICAS_ACCEPTED_MIN = 3;

/** As one client sees them: addresses differ with the way that it came. */
export class Brokers {
  readonly all: readonly Broker[];
  readonly #reachedId: number | undefined;

  /** `reachedId`: the node that the client is talking to, where that is known. */
  constructor(addresses: readonly HostAndPort[], reachedId?: number) {
    this.all = addresses.map(({ host, port }, nodeId) => ({ nodeId, host, port }));
    this.#reachedId = reachedId;
  }

  /** Kafka's controller: the first. */
  get controllerId(): number {
    return 0;
  }

  leaderOf(topic: Pick<Topic, "id">, partition: number): number {
    return (topic.id.charCodeAt(0) + partition) % Math.max(1, this.all.length);
  }

  /** Of a group or a transactional id: always the same, as long as the brokers are. */
  coordinatorOf(key: string): Broker | undefined {
    let hash = 0;
    for (let index = 0; index < key.length; index++) hash = (hash * 31 + key.charCodeAt(index)) >>> 0;
    return this.all[hash % Math.max(1, this.all.length)];
  }

  /**
   * Whether the node that the client is talking to coordinates it: clients ask every broker for its groups and add up the
   * answers. Where that node is not known, it stands for all of them.
   */
  coordinatesHere(key: string): boolean {
    return this.#reachedId === undefined || this.coordinatorOf(key)?.nodeId === this.#reachedId;
  }

  /** The leader comes first. There may be more of them than brokers: as many as the topic was created with. */
  replicasOf(topic: Pick<Topic, "id" | "replicationFactor">, partition: number): number[] {
    const { replicationFactor = 1 } = topic;
    const leader = this.leaderOf(topic, partition);
    const nodes = Math.max(this.all.length, replicationFactor);
    return Array.from({ length: replicationFactor }, (_, index) => (leader + index) % nodes);
  }

  get replicationFactorMax(): number {
    return Math.max(REPLICAS_ACCEPTED_MIN, this.all.length);
  }
}

/**
 * The brokers for a client that reached us at `reached`. EDGELOG_ADVERTISED_LISTENER (`host:port`, several separated by
 * commas) says otherwise; EDGELOG_KAFKA_PORTS lists the ports that are open beside the one reached.
 */
export function brokersOf(env: Env, reached: HostAndPort): Brokers {
  const advertised = parseHostsAndPorts(env.EDGELOG_ADVERTISED_LISTENER ?? "");
  const ports = (env.EDGELOG_KAFKA_PORTS ?? "").split(",").map(Number);
  const reachedId = ports.indexOf(reached.port);
  const isKnown = reachedId >= 0;
  if (advertised.length > 0) {
    return new Brokers(advertised, isKnown && advertised.length === ports.length ? reachedId : undefined);
  }
  if (!isKnown) return new Brokers([reached]);
  return new Brokers(
    ports.map((port) => ({ host: reached.host, port })),
    reachedId,
  );
}

/** What is not `host:port` is left out. An IPv6 address stands in brackets. */
export function parseHostsAndPorts(text: string): HostAndPort[] {
  return text.split(",").flatMap((item) => {
    const [, bracketed, plain, port = ""] = /^(?:\[([^\]]+)\]|([^:]+)):(\d{1,5})$/.exec(item.trim()) ?? [];
    const host = bracketed ?? plain;
    return host === undefined || Number(port) > 0xffff ? [] : [{ host, port: Number(port) }];
  });
}
