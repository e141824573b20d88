import { utf8Text } from "../log/utf8.ts";
import { EdgelogError } from "../model/errors.ts";
import { KAFKA_ARRAY_ELEMENTS_MAX } from "../model/limits.ts";
import { uuidText } from "./uuid.ts";

const UINT32 = 2 ** 32;
const UVARINT_SHIFT_MAX = 28;

/**
 * Reads the values of Kafka's protocol, one after another. Nothing is allocated for a length or count before it is held
 * against the bytes that remain; whatever does not fit is INVALID_REQUEST.
 */
export class WireReader {
  readonly bytes: Uint8Array;
  readonly #view: DataView;
  readonly #end: number;
  #position: number;
  /** Elements of arrays this message may still have: an element of two bytes becomes an object of a hundred. */
  #elementsLeft = KAFKA_ARRAY_ELEMENTS_MAX;

  constructor(bytes: Uint8Array, start = 0, end = bytes.length) {
    this.bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#position = start;
    this.#end = end;
  }

  get position(): number {
    return this.#position;
  }

  get remaining(): number {
    return this.#end - this.#position;
  }

  bool(): boolean {
    return this.int8() !== 0;
  }

  int8(): number {
    return this.#view.getInt8(this.#take(1));
  }

  int16(): number {
    return this.#view.getInt16(this.#take(2));
  }

  int32(): number {
    return this.#view.getInt32(this.#take(4));
  }

  /** Beyond ±2^53 the nearest double. */
  int64(): number {
    const at = this.#take(8);
    return this.#view.getInt32(at) * UINT32 + this.#view.getUint32(at + 4);
  }

  /** The unsigned varint of flexible versions: at most 32 bits. */
  uvarint(): number {
    let value = 0;
    for (let shift = 0; shift <= UVARINT_SHIFT_MAX; shift += 7) {
      const byte = this.#view.getUint8(this.#take(1));
      value |= (byte & 0x7f) << shift;
      if (byte < 0x80) {
        if (shift === UVARINT_SHIFT_MAX && byte > 0x0f) break;
        return value >>> 0;
      }
    }
    throw invalid(`a varint before byte ${this.#position} has more than 32 bits`);
  }

  uuid(): string {
    return uuidText(this.bytes, this.#take(16));
  }

  /** `length` bytes of UTF-8; what is not UTF-8 becomes the replacement character, as in Kafka. */
  string(length: number): string {
    const at = this.#take(length);
    return utf8Text(this.bytes, at, at + length);
  }

  /** A view of the frame. */
  view(length: number): Uint8Array {
    const at = this.#take(length);
    return this.bytes.subarray(at, at + length);
  }

  skip(length: number): void {
    this.#take(length);
  }

  /** A length before its value: -1, or 0 in compact form, is null. */
  stringLength(compact: boolean): number {
    return compact ? this.uvarint() - 1 : this.int16();
  }

  length(compact: boolean): number {
    return compact ? this.uvarint() - 1 : this.int32();
  }

  /** Before the elements of an array are read, each of at least `elementBytes`. */
  admitElements(count: number, elementBytes: number): void {
    if (count < 0) throw invalid(`an array before byte ${this.#position} has ${count} elements`);
    if (count * elementBytes > this.remaining) {
      throw invalid(
        `an array at byte ${this.#position} says it has ${count} elements, but only ${this.remaining} bytes are left`,
      );
    }
    this.#elementsLeft -= count;
    if (this.#elementsLeft < 0) {
      throw invalid(
        `its arrays have more than ${KAFKA_ARRAY_ELEMENTS_MAX} elements in all; ask in smaller parts`,
      );
    }
  }

  #take(size: number): number {
    const at = this.#position;
    if (size < 0) throw invalid(`a length before byte ${at} is ${size}`);
    if (size > this.#end - at) {
      throw invalid(`${size} bytes are needed at byte ${at}, but only ${this.#end - at} are left`);
    }
    this.#position = at + size;
    return at;
  }
}

function invalid(what: string): EdgelogError {
  return new EdgelogError("INVALID_REQUEST", what);
}
