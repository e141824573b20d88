import type { Cluster } from "../cluster/cluster.ts";
import type { FetchSources } from "../cluster/fetch-sources.ts";
import type { Principal } from "../cluster/principals.ts";
import type { Env } from "../env.ts";
import type { Brokers } from "./brokers.ts";

/** What the handlers of one connection share. */
export interface Session {
  readonly env: Env;
  readonly cluster: Cluster;
  readonly brokers: Brokers;
  readonly fetches: FetchSources;
  /** As 22 characters of base64url. */
  clusterId(): Promise<string>;
  /** Aborts when the client is gone: nobody waits for an answer any more. */
  readonly signal: AbortSignal;
  /** As Kafka tells it: `/10.0.0.7`; empty: not known. */
  readonly clientHost: string;
  /** Absent until the client has said who it is: until then only ApiVersions and SASL are answered. */
  principal: Principal | undefined;
  /** The SASL exchange that SaslHandshake began: its version 0 is followed by bare tokens. Who is refused is told so and then let go, as in Kafka. */
  sasl: "none" | "tokens" | "requests" | "refused";
}
