import { type Principal, principalOfToken } from "../../cluster/principals.ts";
import { EdgelogError, type Failure, failure, isFailure } from "../../model/errors.ts";
import { errorFields } from "../error-codes.ts";
import { LENGTH_PREFIX_BYTES } from "../frame.ts";
import { type Answer, handler } from "../handler.ts";
import { saslAuthenticateApi } from "../messages/sasl-authenticate.ts";
import type { Session } from "../session.ts";

/** The user name beside a token. */
const TOKEN_USER = "token";
const NOTHING = new Uint8Array(0);

export const saslAuthenticate = handler(saslAuthenticateApi, async ({ authBytes }, { session }) => {
  const principal =
    session.sasl === "requests"
      ? await plainPrincipal(authBytes, session)
      : failure("ILLEGAL_SASL_STATE", "SaslHandshake comes before SaslAuthenticate");
  session.sasl = isFailure(principal) ? "refused" : "none";
  if (!isFailure(principal)) session.principal = principal;
  return { ...errorFields(principal), authBytes: NOTHING };
});

/** After SaslHandshake version 0 a frame is nothing but the mechanism's message, and so is the answer: here, empty. */
export async function answerBareToken(token: Uint8Array, session: Session): Promise<Answer> {
  const principal = await plainPrincipal(token, session);
  if (isFailure(principal)) throw EdgelogError.from(principal);
  session.sasl = "none";
  session.principal = principal;
  return { parts: [new Uint8Array(LENGTH_PREFIX_BYTES)], release: () => {} };
}

/** RFC 4616: [authzid] NUL authcid NUL password. The user is `token`, the password a token of the cluster. */
function plainPrincipal(message: Uint8Array, { env }: Session): Promise<Principal | Failure> | Failure {
  const [authorizedAs, user, password, ...more] = new TextDecoder().decode(message).split("\0");
  if (user === undefined || password === undefined || more.length > 0) {
    return failure("SASL_AUTHENTICATION_FAILED", "the message is not that of the mechanism PLAIN");
  }
  if (user !== TOKEN_USER || (authorizedAs !== "" && authorizedAs !== user)) {
    return failure(
      "SASL_AUTHENTICATION_FAILED",
      `the user name must be "${TOKEN_USER}" and the password a token of this cluster`,
    );
  }
  return principalOfToken(env, password);
}
