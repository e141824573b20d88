import { errorRow } from "../../model/errors.ts";
import { handler } from "../handler.ts";
import { saslHandshakeApi } from "../messages/sasl-handshake.ts";

/** What SaslAuthenticate understands. */
const MECHANISMS = ["PLAIN"];

export const saslHandshake = handler(saslHandshakeApi, async ({ mechanism }, { version, session }) => {
  if (!MECHANISMS.includes(mechanism)) {
    session.sasl = "refused";
    return { errorCode: errorRow("UNSUPPORTED_SASL_MECHANISM").code, mechanisms: MECHANISMS };
  }
  session.sasl = version === 0 ? "tokens" : "requests";
  return { errorCode: 0, mechanisms: MECHANISMS };
});
