import { api, array, int16, string } from "../schema.ts";

/**
 * Picks the SASL mechanism. After version 0 bare tokens follow, after version 1 SaslAuthenticate requests (KIP-152).
 */
export const saslHandshakeApi = api({
  key: 17,
  name: "SaslHandshake",
  versions: "0-1",
  request: {
    mechanism: string(),
  },
  response: {
    errorCode: int16(),
    mechanisms: array(string()),
  },
});
