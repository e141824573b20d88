/** gzip (RFC 1952), one member or several. */

import { Gunzip, gzipSync } from "fflate";
import { EdgelogError } from "../../model/errors.ts";
import { decompressNatively, nativeZlib, plainBytes } from "./native-zlib.ts";
import { OutputPieces } from "./output-pieces.ts";
import { malformed } from "./problems.ts";

/** Deflate grows a piece of input at most 1,032 times before the output is held against its bound. */
const PORTABLE_INPUT_PIECE_BYTES = 1024;
/** A header of ten bytes, CRC and length of four each. */
const MEMBER_BYTES_MIN = 18;

export function gzip(bytes: Uint8Array): Uint8Array {
  return nativeZlib === undefined ? gzipPortable(bytes) : plainBytes(nativeZlib.gzipSync(bytes));
}

export function gzipPortable(bytes: Uint8Array): Uint8Array {
  return gzipSync(bytes, { mtime: 0 });
}

/** @throws {EdgelogError} MESSAGE_TOO_LARGE beyond `bytesMax`, INVALID_RECORD if it is not gzip. */
export function gunzip(bytes: Uint8Array, bytesMax: number): Uint8Array {
  return nativeZlib === undefined
    ? gunzipPortable(bytes, bytesMax)
    : decompressNatively("gzip", nativeZlib.gunzipSync, bytes, bytesMax);
}

export function gunzipPortable(bytes: Uint8Array, bytesMax: number): Uint8Array {
  const output = new OutputPieces(bytesMax);
  let lastMemberStart = 0;
  try {
    // Not gunzipSync: it allocates what the data's last four bytes ask for.
    const stream = new Gunzip((piece) => output.add(piece));
    stream.onmember = () => {
      lastMemberStart = output.length;
    };
    for (let at = 0; at < bytes.length; at += PORTABLE_INPUT_PIECE_BYTES) {
      const end = Math.min(at + PORTABLE_INPUT_PIECE_BYTES, bytes.length);
      stream.push(bytes.subarray(at, end), end === bytes.length);
    }
  } catch (error) {
    throw error instanceof EdgelogError ? error : malformed("gzip", String(error), error);
  }
  // The stream takes some cuts for an end; a member ends with the length of what it holds.
  if (bytes.length < MEMBER_BYTES_MIN || output.length - lastMemberStart !== lastUint32(bytes)) {
    throw malformed("gzip", "it is cut short");
  }
  return output.joined();
}

function lastUint32(bytes: Uint8Array): number {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength).getUint32(bytes.length - 4, true);
}
