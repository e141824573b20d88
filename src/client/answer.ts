import { EdgelogError } from "../model/errors.ts";
import { property } from "./transport.ts";

/** An answer of the cluster, field by field. Throws NETWORK_EXCEPTION where a field is not what the API promises. */
export class Answer {
  readonly #value: unknown;
  readonly #what: string;

  /** `what`: the request, for the message. */
  constructor(value: unknown, what: string) {
    this.#value = value;
    this.#what = what;
  }

  /** Whether it is there and not null. */
  has(name: string): boolean {
    return (this.#field(name) ?? null) !== null;
  }

  text(name: string): string {
    const value = this.#field(name);
    return typeof value === "string" ? value : this.#unexpected(name);
  }

  number(name: string): number {
    const value = this.#field(name);
    return typeof value === "number" ? value : this.#unexpected(name);
  }

  textOrNull(name: string): string | null {
    return this.has(name) ? this.text(name) : null;
  }

  numberOrNull(name: string): number | null {
    return this.has(name) ? this.number(name) : null;
  }

  /** null: absent or null. */
  object(name: string): Answer | null {
    return this.has(name) ? new Answer(this.#field(name), this.#what) : null;
  }

  list<T>(name: string, parse: (item: Answer) => T): T[] {
    const value = this.#field(name);
    if (!Array.isArray(value)) return this.#unexpected(name);
    return value.map((item: unknown) => parse(new Answer(item, this.#what)));
  }

  numbers(name: string): number[] {
    const value = this.#field(name);
    const isList = Array.isArray(value) && value.every((item) => typeof item === "number");
    return isList ? value : this.#unexpected(name);
  }

  #field(name: string): unknown {
    return property(this.#value, name);
  }

  #unexpected(name: string): never {
    throw new EdgelogError(
      "NETWORK_EXCEPTION",
      `${this.#what}: ${JSON.stringify(name)} has an unexpected form; is the client older than the cluster?`,
    );
  }
}
