import { tooMuchOutput } from "./problems.ts";

/** Collects what a streaming decompressor gives, and stops it at a bound. */
export class OutputPieces {
  readonly #bytesMax: number;
  readonly #pieces: Uint8Array[] = [];
  #length = 0;

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  get length(): number {
    return this.#length;
  }

  /** Bytes that may still be added. */
  get room(): number {
    return this.#bytesMax - this.#length;
  }

  /** @throws {EdgelogError} MESSAGE_TOO_LARGE */
  add(piece: Uint8Array): void {
    if (piece.length > this.room) throw tooMuchOutput();
    this.#length += piece.length;
    if (piece.length > 0) this.#pieces.push(piece);
  }

  joined(): Uint8Array {
    const [only] = this.#pieces;
    if (only !== undefined && this.#pieces.length === 1) return only;
    const whole = new Uint8Array(this.#length);
    let at = 0;
    for (const piece of this.#pieces) {
      whole.set(piece, at);
      at += piece.length;
    }
    return whole;
  }
}
