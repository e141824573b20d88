/** JSON objects with one long list in them, of which only an element at a time is there as objects. */

import { notJson, parseAt, parseJson } from "./json.ts";
import { skipSpace } from "./json-scan.ts";

/** An object's members, but for those of one list, which were dealt with one by one. */
export interface JsonMembers {
  readonly members: Readonly<Record<string, unknown>>;
  /** Elements of the list; undefined if there is no such list. */
  readonly length: number | undefined;
}

/**
 * The members of a JSON object; the elements of the list of that name are given to `take` one after another (again from 0
 * on where there is another list of that name: as with JSON.parse, the last one counts). Undefined if the text is JSON
 * and no object.
 *
 * @throws EdgelogError as `parseJson`
 */
export function parseMembers(
  text: string,
  listName: string,
  what: string,
  take: (element: unknown, index: number) => void,
): JsonMembers | undefined {
  const cursor = new Cursor(text, what);
  if (!cursor.takes("{")) {
    parseJson(text, what);
    return undefined;
  }
  const members = new Map<string, unknown>();
  let length: number | undefined;
  cursor.each("}", () => {
    const name = cursor.name();
    if (name === listName) length = undefined;
    if (name !== listName || !cursor.takes("[")) {
      members.set(name, cursor.value(1));
      return;
    }
    members.delete(name);
    let index = 0;
    cursor.each("]", () => take(cursor.value(2), index++));
    length = index;
  });
  cursor.expectEnd();
  return { members: Object.fromEntries(members), length };
}

/** A place in the text. White space before what is asked for is passed over. */
class Cursor {
  readonly #text: string;
  readonly #what: string;
  #at = 0;

  constructor(text: string, what: string) {
    this.#text = text;
    this.#what = what;
  }

  takes(character: string): boolean {
    this.#at = skipSpace(this.#text, this.#at);
    if (this.#text[this.#at] !== character) return false;
    this.#at++;
    return true;
  }

  /** What stands between an opening that was taken and its `close`, with commas between. */
  each(close: string, item: () => void): void {
    if (this.takes(close)) return;
    do item();
    while (this.takes(","));
    if (!this.takes(close)) throw this.#wrong(`"," or "${close}"`);
  }

  /** A member's, and the colon behind it. */
  name(): string {
    const name = this.value(1);
    if (typeof name !== "string") throw this.#wrong("a name");
    if (!this.takes(":")) throw this.#wrong('":"');
    return name;
  }

  value(levelsAbove: number): unknown {
    const { value, end } = parseAt(this.#text, skipSpace(this.#text, this.#at), levelsAbove, this.#what);
    this.#at = end;
    return value;
  }

  expectEnd(): void {
    if (skipSpace(this.#text, this.#at) < this.#text.length) throw this.#wrong("its end");
  }

  #wrong(expected: string): Error {
    return notJson(this.#what, `${expected} is missing at character ${this.#at}`);
  }
}
