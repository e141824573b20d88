/**
 * Who is asking. Three situations, and no fourth:
 * - the secret EDGELOG_ROOT_TOKEN is set: whoever knows it is root;
 * - it is not, and EDGELOG_OPEN is "true" (only a listener on loopback is started so): everyone on this machine may do all;
 * - neither: nobody may do anything.
 */

import type { Env } from "../env.ts";
import { type Failure, failure } from "../model/errors.ts";

/** A principal, spelled as Kafka spells it: `User:<name>`. */
export interface Principal {
  readonly name: string;
}

export const ROOT: Principal = { name: "User:root" };
export const ANONYMOUS: Principal = { name: "User:ANONYMOUS" };

/** Before the token in a WebSocket's offered subprotocols: `edgelog.token.<token>`. */
export const TOKEN_SUBPROTOCOL_PREFIX = "edgelog.token.";

/** True where no token is asked for. */
export function isOpen(env: Env): boolean {
  return !hasRootToken(env) && env.EDGELOG_OPEN === "true";
}

/** Why this deployment can let nobody in, or undefined if it can. */
export function setupProblem(env: Env): Failure | undefined {
  if (hasRootToken(env) || isOpen(env)) return undefined;
  return failure(
    "SASL_AUTHENTICATION_FAILED",
    "This deployment has no root token yet, so it refuses everything but /healthz. Set the secret: npx wrangler secret put EDGELOG_ROOT_TOKEN",
  );
}

/** Whose token this is. SASL_AUTHENTICATION_FAILED if it is nobody's. */
export async function principalOfToken(env: Env, token: string | undefined): Promise<Principal | Failure> {
  const problem = setupProblem(env);
  if (problem !== undefined) return problem;
  if (isOpen(env)) return ANONYMOUS;
  if (token === undefined) {
    return failure(
      "SASL_AUTHENTICATION_FAILED",
      "No token came with the request; send Authorization: Bearer <token>.",
    );
  }
  if (await sameText(token, env.EDGELOG_ROOT_TOKEN ?? "")) return ROOT;
  return failure("SASL_AUTHENTICATION_FAILED", "The token is not this cluster's.");
}

/** The token in `Authorization: Bearer <token>`, or undefined if the header has another form. */
export function bearerToken(authorization: string | null): string | undefined {
  return /^Bearer +([^ ]+) *$/i.exec(authorization ?? "")?.[1];
}

/** The token among a WebSocket's offered subprotocols: the one header that a browser lets a page set. */
export function subprotocolToken(offered: string | null): string | undefined {
  return (offered ?? "")
    .split(",")
    .map((name) => name.trim())
    .find((name) => name.startsWith(TOKEN_SUBPROTOCOL_PREFIX))
    ?.slice(TOKEN_SUBPROTOCOL_PREFIX.length);
}

function hasRootToken(env: Env): boolean {
  return (env.EDGELOG_ROOT_TOKEN ?? "") !== "";
}

/** In a time that does not depend on where the texts differ: digests have one length, whatever was sent. */
async function sameText(a: string, b: string): Promise<boolean> {
  const [digestA, digestB] = await Promise.all([sha256(a), sha256(b)]);
  return crypto.subtle.timingSafeEqual(digestA, digestB);
}

function sha256(text: string): Promise<ArrayBuffer> {
  return crypto.subtle.digest("SHA-256", new TextEncoder().encode(text));
}
