/**
 * A JSON parser (RFC 8259) that shares nothing with the one under test: the oracle judges bodies by it. Numbers stay
 * text, so that what must have been stored can be said to the last digit.
 */

export type Json =
  | { readonly kind: "string"; readonly text: string }
  | { readonly kind: "number"; readonly text: string }
  | { readonly kind: "boolean"; readonly is: boolean }
  | { readonly kind: "null" }
  | { readonly kind: "array"; readonly items: readonly Json[] }
  | { readonly kind: "object"; readonly members: ReadonlyMap<string, Json> };

export class NotJson extends Error {}

/** The value, and how many arrays and objects lie in each other anywhere in the text. */
export function parse(text: string): { readonly json: Json; readonly depth: number } {
  const parser = new Parser(text);
  const json = parser.document();
  return { json, depth: parser.depth };
}

/** Without white space; members as JavaScript orders them (array indexes first), a repeated one with its last value. */
export function minified(json: Json): string {
  switch (json.kind) {
    case "string":
      return JSON.stringify(json.text);
    case "number":
      return json.text;
    case "boolean":
      return String(json.is);
    case "null":
      return "null";
    case "array":
      return `[${json.items.map(minified).join(",")}]`;
    case "object": {
      const names = [...json.members.keys()];
      const indexes = names.filter(isArrayIndex).sort((a, b) => Number(a) - Number(b));
      const ordered = [...indexes, ...names.filter((name) => !isArrayIndex(name))];
      return `{${ordered.map((name) => `${JSON.stringify(name)}:${minified(json.members.get(name) ?? { kind: "null" })}`).join(",")}}`;
    }
  }
}

function isArrayIndex(name: string): boolean {
  return /^(0|[1-9]\d{0,9})$/.test(name) && Number(name) < 4_294_967_295;
}

const ESCAPES: Readonly<Record<string, string>> = {
  '"': '"',
  "\\": "\\",
  "/": "/",
  b: "\b",
  f: "\f",
  n: "\n",
  r: "\r",
  t: "\t",
};

class Parser {
  readonly #text: string;
  #at = 0;
  depth = 0;

  constructor(text: string) {
    this.#text = text;
  }

  document(): Json {
    const json = this.#value(0);
    this.#space();
    if (this.#at !== this.#text.length) throw new NotJson(`something after the value, at ${this.#at}`);
    return json;
  }

  #value(level: number): Json {
    // Deeper is refused anyway, and this parser is recursive.
    if (level > 500) throw new NotJson("too deep");
    this.#space();
    const next = this.#text[this.#at];
    if (next === '"') return { kind: "string", text: this.#string() };
    if (next === "{") return this.#object(level);
    if (next === "[") return this.#array(level);
    for (const [word, json] of WORDS) if (this.#takes(word)) return json;
    const number = /^-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?/.exec(
      this.#text.slice(this.#at, this.#at + 1_000),
    );
    if (number === null) throw new NotJson(`no value at ${this.#at}`);
    this.#at += number[0].length;
    return { kind: "number", text: number[0] };
  }

  #object(level: number): Json {
    const members = new Map<string, Json>();
    this.depth = Math.max(this.depth, level + 1);
    this.#expect("{");
    this.#space();
    if (this.#takes("}")) return { kind: "object", members };
    do {
      this.#space();
      const name = this.#string();
      this.#space();
      this.#expect(":");
      members.set(name, this.#value(level + 1));
      this.#space();
    } while (this.#takes(","));
    this.#expect("}");
    return { kind: "object", members };
  }

  #array(level: number): Json {
    const items: Json[] = [];
    this.depth = Math.max(this.depth, level + 1);
    this.#expect("[");
    this.#space();
    if (this.#takes("]")) return { kind: "array", items };
    do {
      items.push(this.#value(level + 1));
      this.#space();
    } while (this.#takes(","));
    this.#expect("]");
    return { kind: "array", items };
  }

  #string(): string {
    this.#expect('"');
    let text = "";
    for (;;) {
      const unit = this.#text[this.#at++];
      if (unit === undefined || unit < " ") throw new NotJson("a string without end");
      if (unit === '"') return text;
      text += unit === "\\" ? this.#escape() : unit;
    }
  }

  #escape(): string {
    const letter = this.#text[this.#at++] ?? "";
    if (letter === "u") {
      const hex = this.#text.slice(this.#at, this.#at + 4);
      if (!/^[0-9a-fA-F]{4}$/.test(hex)) throw new NotJson("no \\u escape");
      this.#at += 4;
      return String.fromCharCode(Number.parseInt(hex, 16));
    }
    const escaped = ESCAPES[letter];
    if (escaped === undefined) throw new NotJson(`no escape: ${letter}`);
    return escaped;
  }

  #space(): void {
    while (" \t\n\r".includes(this.#text[this.#at] ?? "x")) this.#at++;
  }

  #takes(word: string): boolean {
    if (!this.#text.startsWith(word, this.#at)) return false;
    this.#at += word.length;
    return true;
  }

  #expect(word: string): void {
    if (!this.#takes(word)) throw new NotJson(`no ${word} at ${this.#at}`);
  }
}

const WORDS: readonly (readonly [string, Json])[] = [
  ["true", { kind: "boolean", is: true }],
  ["false", { kind: "boolean", is: false }],
  ["null", { kind: "null" }],
];
