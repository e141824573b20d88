import { utf8Length } from "../log/utf8.ts";
import { writeUuid } from "./uuid.ts";

const FIRST_BUFFER_BYTES = 512;
/** Records of less than this are copied into the answer; copying them costs less than another write to the socket. */
const COPIED_RECORDS_BYTES_MAX = 16 * 1024;
const UINT32 = 2 ** 32;
const LONG_LIMIT = 2 ** 63;
const ENCODER = new TextEncoder();

/** Writes the values of Kafka's protocol, one after another, into parts that together are the message. */
export class WireWriter {
  #bytes = new Uint8Array(FIRST_BUFFER_BYTES);
  #view = new DataView(this.#bytes.buffer);
  /** Where in `#bytes` the next part begins, and where the next value goes. */
  #start = 0;
  #position = 0;
  #openTags = 0;
  readonly #parts: Uint8Array[] = [];

  bool(value: boolean): void {
    this.int8(value ? 1 : 0);
  }

  int8(value: number): void {
    const at = this.#take(1);
    this.#view.setInt8(at, value);
  }

  int16(value: number): void {
    const at = this.#take(2);
    this.#view.setInt16(at, value);
  }

  int32(value: number): void {
    const at = this.#take(4);
    this.#view.setInt32(at, value);
  }

  /** A safe integer, or ±2^63 for Long's two ends. */
  int64(value: number): void {
    const at = this.#take(8);
    if (value >= LONG_LIMIT) {
      this.#view.setInt32(at, 0x7fff_ffff);
      this.#view.setUint32(at + 4, 0xffff_ffff);
      return;
    }
    const high = Math.floor(value / UINT32);
    this.#view.setInt32(at, high);
    this.#view.setUint32(at + 4, value - high * UINT32);
  }

  uvarint(value: number): void {
    let rest = value >>> 0;
    while (rest >= 0x80) {
      this.int8((rest & 0x7f) | 0x80);
      rest >>>= 7;
    }
    this.int8(rest);
  }

  /** False if the text is not 22 characters of base64url. */
  uuid(text: string): boolean {
    const at = this.#take(16);
    return writeUuid(this.#bytes, at, text);
  }

  /** False if the text does not fit its length field. */
  string(text: string, compact: boolean): boolean {
    const size = utf8Length(text);
    if (size > 0x7fff) return false;
    this.stringLength(size, compact);
    const at = this.#take(size);
    if (size === text.length) {
      for (let index = 0; index < size; index++) this.#bytes[at + index] = text.charCodeAt(index);
    } else {
      ENCODER.encodeInto(text, this.#bytes.subarray(at, at + size));
    }
    return true;
  }

  /** -1 is null. */
  stringLength(length: number, compact: boolean): void {
    if (compact) this.uvarint(length + 1);
    else this.int16(length);
  }

  /** -1 is null. */
  length(length: number, compact: boolean): void {
    if (compact) this.uvarint(length + 1);
    else this.int32(length);
  }

  copy(bytes: Uint8Array): void {
    const at = this.#take(bytes.length);
    this.#bytes.set(bytes, at);
  }

  /** The bytes themselves become a part of the message, unless they are so few that copying is cheaper. */
  share(bytes: Uint8Array): void {
    if (bytes.length <= COPIED_RECORDS_BYTES_MAX || this.#openTags > 0) {
      this.copy(bytes);
      return;
    }
    this.#endPart();
    this.#parts.push(bytes);
  }

  /** What is written until {@link endTag} is preceded by its size. */
  beginTag(): number {
    this.#openTags++;
    return this.#position - this.#start;
  }

  endTag(mark: number): void {
    this.#openTags--;
    const valueBytes = this.#position - this.#start - mark;
    // Written behind the value first, to learn how many bytes the size takes; then both change places.
    this.uvarint(valueBytes);
    const begin = this.#start + mark;
    const size = this.#bytes.slice(begin + valueBytes, this.#position);
    this.#bytes.copyWithin(begin + size.length, begin, begin + valueBytes);
    this.#bytes.set(size, begin);
  }

  /** The message in parts. The writer is spent. */
  finish(): Uint8Array[] {
    this.#endPart();
    return this.#parts;
  }

  #endPart(): void {
    if (this.#position > this.#start) this.#parts.push(this.#bytes.subarray(this.#start, this.#position));
    this.#start = this.#position;
  }

  #take(size: number): number {
    const at = this.#position;
    if (at + size > this.#bytes.length) return this.#grow(size);
    this.#position = at + size;
    return at;
  }

  /** Takes what is begun into a larger buffer; finished parts stay where they are. */
  #grow(size: number): number {
    const begun = this.#bytes.subarray(this.#start, this.#position);
    this.#bytes = new Uint8Array(Math.max(FIRST_BUFFER_BYTES, 2 * (begun.length + size)));
    this.#view = new DataView(this.#bytes.buffer);
    this.#bytes.set(begun);
    this.#start = 0;
    this.#position = begun.length + size;
    return begun.length;
  }
}
