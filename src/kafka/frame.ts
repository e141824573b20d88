/** A frame: a length of four bytes, a header, a message. */

import { EdgelogError } from "../model/errors.ts";
import { readMessage, writeMessage } from "./codec.ts";
import type { Api, FieldsRead, FieldsWritten, RequestOf, ResponseOf } from "./schema.ts";
import { WireReader } from "./wire-reader.ts";
import { WireWriter } from "./wire-writer.ts";

/** Before every frame: its length, an int32 that does not count itself. */
export const LENGTH_PREFIX_BYTES = 4;

const API_VERSIONS_KEY = 18;

export interface RequestHeader {
  readonly apiKey: number;
  readonly apiVersion: number;
  /** Chosen by the client; the response begins with it. */
  readonly correlationId: number;
  readonly clientId: string | null;
}

/**
 * Reads what every request begins with, whatever the API. In flexible versions tags follow, which {@link readRequest} skips.
 *
 * @throws {EdgelogError} INVALID_REQUEST
 */
export function readRequestHeader(reader: WireReader): RequestHeader {
  const apiKey = reader.int16();
  const apiVersion = reader.int16();
  const correlationId = reader.int32();
  // Never compact, so that a broker can read it without knowing the version.
  const length = reader.stringLength(false);
  if (length < -1) throw new EdgelogError("INVALID_REQUEST", `the client id has ${length} bytes`);
  return { apiKey, apiVersion, correlationId, clientId: length < 0 ? null : reader.string(length) };
}

/** Reads the request that follows its header. */
export function readRequest<A extends Api>(api: A, version: number, reader: WireReader): RequestOf<A> {
  if (version >= api.flexibleFrom) skipTags(reader);
  return readMessage(api.request, version, reader);
}

/** The response as a frame with its length, in parts that go over the wire one after another. */
export function encodeResponse<A extends Api>(
  api: A,
  version: number,
  correlationId: number,
  response: ResponseOf<A>,
): Uint8Array[] {
  return frame((writer) => {
    writer.int32(correlationId);
    if (hasTagsInResponseHeader(api, version)) writer.uvarint(0);
    writeMessage(api.response, version, writer, response);
  });
}

/** The client's side: the request as a frame with its length. */
export function encodeRequest<A extends Api>(
  api: A,
  version: number,
  header: { readonly correlationId: number; readonly clientId: string | null },
  request: FieldsWritten<A["request"]["fields"]>,
): Uint8Array[] {
  return frame((writer) => {
    writer.int16(api.key);
    writer.int16(version);
    writer.int32(header.correlationId);
    if (header.clientId === null) writer.stringLength(-1, false);
    else if (!writer.string(header.clientId, false)) {
      throw new EdgelogError("INVALID_REQUEST", "the client id has more than 32767 bytes");
    }
    if (version >= api.flexibleFrom) writer.uvarint(0);
    writeMessage(api.request, version, writer, request);
  });
}

/** The client's side: a response, without its frame's length. */
export function decodeResponse<A extends Api>(
  api: A,
  version: number,
  bytes: Uint8Array,
): { readonly correlationId: number; readonly response: FieldsRead<A["response"]["fields"]> } {
  const reader = new WireReader(bytes);
  const correlationId = reader.int32();
  if (hasTagsInResponseHeader(api, version)) skipTags(reader);
  return { correlationId, response: readMessage(api.response, version, reader) };
}

/** ApiVersions' answer has none in any version: its reader does not know yet which versions the broker has (KIP-511). */
function hasTagsInResponseHeader(api: Api, version: number): boolean {
  return version >= api.flexibleFrom && api.key !== API_VERSIONS_KEY;
}

function skipTags(reader: WireReader): void {
  for (let count = reader.uvarint(); count > 0; count--) {
    reader.uvarint();
    reader.skip(reader.uvarint());
  }
}

function frame(write: (writer: WireWriter) => void): Uint8Array[] {
  const writer = new WireWriter();
  writer.int32(0);
  write(writer);
  const parts = writer.finish();
  const [first] = parts;
  const length = parts.reduce((total, part) => total + part.length, 0) - LENGTH_PREFIX_BYTES;
  if (first !== undefined) new DataView(first.buffer, first.byteOffset, first.byteLength).setInt32(0, length);
  return parts;
}
