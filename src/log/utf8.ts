/** UTF-8 of header keys: short, nearly always ASCII, so that the platform's coders cost more than the work itself. */

const ENCODER = new TextEncoder();
const DECODER = new TextDecoder("utf-8", { ignoreBOM: true, fatal: false });
const ASCII_LENGTH_MAX = 64;

/** Bytes that {@link writeUtf8} takes. A lone surrogate counts as the replacement character. */
export function utf8Length(text: string): number {
  let length = text.length;
  for (let index = 0; index < text.length; index++) {
    const unit = text.charCodeAt(index);
    if (unit < 0x80) continue;
    length += unit < 0x800 ? 1 : 2;
    if (isHighSurrogate(unit) && isLowSurrogate(text.charCodeAt(index + 1))) index++;
  }
  return length;
}

/** Writes the text at `start`, where there must be room for it, and returns the position after it. */
export function writeUtf8(bytes: Uint8Array, start: number, text: string): number {
  for (let index = 0; index < text.length; index++) {
    const unit = text.charCodeAt(index);
    if (unit >= 0x80) return start + ENCODER.encodeInto(text, bytes.subarray(start)).written;
    bytes[start + index] = unit;
  }
  return start + text.length;
}

/** What is not UTF-8 becomes the replacement character, as in Kafka's clients. */
export function utf8Text(bytes: Uint8Array, start: number, end: number): string {
  if (end - start > ASCII_LENGTH_MAX) return DECODER.decode(bytes.subarray(start, end));
  let text = "";
  for (let index = start; index < end; index++) {
    const byte = bytes[index] ?? 0;
    if (byte >= 0x80) return DECODER.decode(bytes.subarray(start, end));
    text += String.fromCharCode(byte);
  }
  return text;
}

function isHighSurrogate(unit: number): boolean {
  return unit >= 0xd800 && unit < 0xdc00;
}

function isLowSurrogate(unit: number): boolean {
  return unit >= 0xdc00 && unit < 0xe000;
}
