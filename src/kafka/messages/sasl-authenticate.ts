import { api, bytes, int16, int64, string } from "../schema.ts";

/**
 * Carries a SASL mechanism's messages (KIP-152); from version 1 on the answer says how long it holds (KIP-368).
 */
export const saslAuthenticateApi = api({
  key: 36,
  name: "SaslAuthenticate",
  versions: "0-2",
  flexible: 2,
  request: {
    authBytes: bytes(),
  },
  response: {
    errorCode: int16(),
    errorMessage: string().nullable(),
    authBytes: bytes(),
    sessionLifetimeMs: int64("1+").or(0),
  },
});
