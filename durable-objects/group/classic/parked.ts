/** Requests that are answered later, at most one per member. */
export class Parked<T extends object> {
  readonly #answers = new Map<string, (answer: T) => void>();
  readonly #superseded: (memberId: string) => T;

  /** `superseded`: what a member's request is answered when the same member asks again meanwhile. */
  constructor(superseded: (memberId: string) => T) {
    this.#superseded = superseded;
  }

  get size(): number {
    return this.#answers.size;
  }

  has(memberId: string): boolean {
    return this.#answers.has(memberId);
  }

  memberIds(): string[] {
    return [...this.#answers.keys()];
  }

  park(memberId: string): Promise<T> {
    this.answer(memberId, this.#superseded(memberId));
    const { promise, resolve } = Promise.withResolvers<T>();
    this.#answers.set(memberId, resolve);
    return promise;
  }

  /** Nothing happens if the member has no request here. */
  answer(memberId: string, answer: T): void {
    const resolve = this.#answers.get(memberId);
    this.#answers.delete(memberId);
    resolve?.(answer);
  }
}
