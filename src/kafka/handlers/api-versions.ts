import { errorRow } from "../../model/errors.ts";
import { encodeResponse, type RequestHeader } from "../frame.ts";
import { type Answer, type Handler, handler } from "../handler.ts";
import { apiVersionsApi } from "../messages/api-versions.ts";
import { produceApi } from "../messages/produce.ts";
import type { Api } from "../schema.ts";

/** The second part of KIP-890: batches join their transaction by themselves, and every transaction has its own epoch. */
const TRANSACTION_VERSION = 2;
const FEATURES = {
  supportedFeatures: [{ name: "transaction.version", minVersion: 0, maxVersion: TRANSACTION_VERSION }],
  finalizedFeaturesEpoch: 0,
  finalizedFeatures: [
    {
      name: "transaction.version",
      maxVersionLevel: TRANSACTION_VERSION,
      minVersionLevel: TRANSACTION_VERSION,
    },
  ],
};

/** Tells of the APIs that `offered` has. */
export function apiVersionsHandler(offered: () => readonly Api[]): Handler {
  return handler(apiVersionsApi, async ({ clusterId }, { session }) => {
    const isElsewhere = clusterId !== null && clusterId !== (await session.clusterId());
    const errorCode = isElsewhere ? errorRow("REBOOTSTRAP_REQUIRED").code : 0;
    return { errorCode, apiKeys: rangesOf(offered()), ...FEATURES };
  });
}

/** A client may ask in a version that it is yet to learn we do not have; it can always read version 0 (KIP-511). */
export function answerUnsupportedApiVersions(
  { apiKey, correlationId }: RequestHeader,
  offered: readonly Api[],
): Answer | undefined {
  if (apiKey !== apiVersionsApi.key) return undefined;
  const { code: errorCode } = errorRow("UNSUPPORTED_VERSION");
  const parts = encodeResponse(apiVersionsApi, 0, correlationId, { errorCode, apiKeys: rangesOf(offered) });
  return { parts, release: () => {} };
}

function rangesOf(apis: readonly Api[]) {
  return apis.map(({ key, versions: { first, last } }) => ({
    apiKey: key,
    // Old librdkafka takes codecs for unknown unless Produce goes back to version 0; none uses it (KAFKA-18659).
    minVersion: key === produceApi.key ? 0 : first,
    maxVersion: last,
  }));
}
