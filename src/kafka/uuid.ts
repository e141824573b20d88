/** Kafka's Uuid: 16 bytes on the wire, 22 characters of base64url everywhere else. */

const ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
const CHARACTER_CODES = Uint8Array.from(ALPHABET, (character) => character.charCodeAt(0));
const NOT_A_DIGIT = 255;
const DIGITS = new Uint8Array(128).fill(NOT_A_DIGIT);
for (const [digit, code] of CHARACTER_CODES.entries()) DIGITS[code] = digit;

const UUID_BYTES = 16;
const UUID_CHARACTERS = 22;

/** The 16 bytes at `position` as text. */
export function uuidText(bytes: Uint8Array, position: number): string {
  let text = "";
  let bits = 0;
  let bitCount = 0;
  for (let index = position; index < position + UUID_BYTES; index++) {
    bits = ((bits << 8) | (bytes[index] ?? 0)) & 0x3fff;
    for (bitCount += 8; bitCount >= 6; bitCount -= 6) text += ALPHABET[(bits >> (bitCount - 6)) & 63];
  }
  return text + ALPHABET[(bits << 4) & 63];
}

/** Writes the Uuid's 16 bytes at `position`; false if the text is none. */
export function writeUuid(bytes: Uint8Array, position: number, text: string): boolean {
  if (text.length !== UUID_CHARACTERS) return false;
  let at = position;
  let bits = 0;
  let bitCount = 0;
  for (let index = 0; index < UUID_CHARACTERS; index++) {
    const digit = DIGITS[text.charCodeAt(index)] ?? NOT_A_DIGIT;
    if (digit === NOT_A_DIGIT) return false;
    bits = ((bits << 6) | digit) & 0x3fff;
    bitCount += 6;
    if (bitCount < 8) continue;
    bitCount -= 8;
    bytes[at++] = bits >> bitCount;
  }
  return (bits & 0x0f) === 0;
}
