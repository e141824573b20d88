import type {
  ClusterDescription,
  ConfigChanges,
  ControllerRpc,
  CreateTopicRequest,
  IssuedTicket,
  ListNamesRequest,
  ListTopicsRequest,
  ProducerIdBlock,
} from "../../durable-objects/controller/rpc.ts";
import { CONTROLLER_NAME } from "../../durable-objects/controller/rpc.ts";
import type { Env } from "../env.ts";
import { type Failure, isFailure, unwrap } from "../model/errors.ts";
import type { PartitionIdentity, TopicId } from "../model/ids.ts";
import type { Topic } from "../model/topic.ts";
import { callObject } from "./stub-errors.ts";
import type { TopicCache } from "./topic-cache.ts";

/**
 * The Controller as front ends call it. Exceptions of its stub become retriable failures (thrown as `EdgelogError` by
 * the methods whose result has no room for a failure), what only reads is tried twice, and what it says of topics goes
 * into the isolate's cache, so that a Worker sees its own changes at once.
 */
export class ControllerClient implements ControllerRpc {
  readonly #namespace: Env["CONTROLLER"];
  readonly #cache: TopicCache;

  constructor(namespace: Env["CONTROLLER"], cache: TopicCache) {
    this.#namespace = namespace;
    this.#cache = cache;
  }

  async describeCluster(): Promise<ClusterDescription> {
    return unwrap(await this.#call("read", (controller) => controller.describeCluster()));
  }

  async createTopic(request: CreateTopicRequest): Promise<Topic | Failure> {
    const topic = this.#call("write", (controller) => controller.createTopic(request));
    return request.validateOnly === true ? topic : this.#learned(topic);
  }

  async topic(name: string): Promise<Topic | Failure> {
    return this.#learned(this.#call("read", (controller) => controller.topic(name)));
  }

  async topicById(id: TopicId): Promise<Topic | Failure> {
    return this.#learned(this.#call("read", (controller) => controller.topicById(id)));
  }

  async listTopics(request: ListTopicsRequest): Promise<Topic[]> {
    return unwrap(await this.#call("read", (controller) => controller.listTopics(request)));
  }

  async alterTopicConfigs(
    name: string,
    changes: ConfigChanges,
    validateOnly = false,
  ): Promise<Topic | Failure> {
    const topic = this.#call("write", (controller) =>
      controller.alterTopicConfigs(name, changes, validateOnly),
    );
    return validateOnly ? topic : this.#learned(topic);
  }

  async createPartitions(name: string, total: number, validateOnly = false): Promise<Topic | Failure> {
    const topic = this.#call("write", (controller) => controller.createPartitions(name, total, validateOnly));
    return validateOnly ? topic : this.#learned(topic);
  }

  async deleteTopic(reference: string | Pick<Topic, "id">): Promise<Topic | Failure> {
    const topic = await this.#call("write", (controller) => controller.deleteTopic(reference));
    if (!isFailure(topic)) this.#cache.forget(topic.id);
    return topic;
  }

  openPartition(identity: PartitionIdentity): Promise<Topic | Failure> {
    return this.#call("write", (controller) => controller.openPartition(identity));
  }

  async openedPartitions(topicId: TopicId, after: number, limit: number): Promise<number[]> {
    return unwrap(
      await this.#call("read", (controller) => controller.openedPartitions(topicId, after, limit)),
    );
  }

  async topicsVersion(): Promise<number> {
    return unwrap(await this.#call("read", (controller) => controller.topicsVersion()));
  }

  async topicsNamed(names: readonly string[]): Promise<Topic[]> {
    const askedAtMs = Date.now();
    const topics = unwrap(await this.#call("read", (controller) => controller.topicsNamed(names)));
    for (const topic of topics) this.#cache.learn(topic, askedAtMs);
    return topics;
  }

  async existingTopics(ids: readonly TopicId[]): Promise<TopicId[]> {
    return unwrap(await this.#call("read", (controller) => controller.existingTopics(ids)));
  }

  /** These two, as all of the Controller's that can be repeated, are tried twice. */
  async openGroup(groupId: string): Promise<void> {
    unwrap(await this.#call("read", (controller) => controller.openGroup(groupId)));
  }

  async closeGroup(groupId: string): Promise<void> {
    unwrap(await this.#call("read", (controller) => controller.closeGroup(groupId)));
  }

  async listGroups(request: ListNamesRequest): Promise<string[]> {
    return unwrap(await this.#call("read", (controller) => controller.listGroups(request)));
  }

  /** For coordinators; a front end has no use of it. */
  async openTransactionalId(transactionalId: string): Promise<ProducerIdBlock> {
    return unwrap(await this.#call("read", (controller) => controller.openTransactionalId(transactionalId)));
  }

  async closeTransactionalId(transactionalId: string): Promise<void> {
    unwrap(await this.#call("read", (controller) => controller.closeTransactionalId(transactionalId)));
  }

  async listTransactionalIds(request: ListNamesRequest): Promise<string[]> {
    return unwrap(await this.#call("read", (controller) => controller.listTransactionalIds(request)));
  }

  /** Tried twice like a read: a block that was given and never arrived is lost, and there are enough. */
  async allocateProducerIds(): Promise<ProducerIdBlock> {
    return unwrap(await this.#call("read", (controller) => controller.allocateProducerIds()));
  }

  issueTicket(): Promise<IssuedTicket | Failure> {
    return this.#call("write", (controller) => controller.issueTicket());
  }

  /** Tried once: a ticket whose redemption got no answer is used up. */
  async redeemTicket(ticket: string): Promise<boolean> {
    return unwrap(await this.#call("write", (controller) => controller.redeemTicket(ticket)));
  }

  /** Every call makes its own stub, so that none is ever broken by an earlier exception; making one costs nothing. */
  #call<T>(kind: "read" | "write", method: (controller: ControllerRpc) => Promise<T>): Promise<T | Failure> {
    const id = this.#namespace.idFromName(CONTROLLER_NAME);
    return callObject("the Controller", kind, () => method(this.#namespace.get(id)));
  }

  async #learned(asked: Promise<Topic | Failure>): Promise<Topic | Failure> {
    const askedAtMs = Date.now();
    const topic = await asked;
    if (!isFailure(topic)) this.#cache.learn(topic, askedAtMs);
    return topic;
  }
}
