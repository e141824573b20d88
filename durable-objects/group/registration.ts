import type { GroupStore } from "./group-store.ts";

export interface RegistrationCalls {
  readonly groupId: string;
  open(): Promise<void>;
  close(): Promise<void>;
  transaction<T>(closure: () => T): T;
}

/**
 * The group's entry in the Controller's list. It is made before the group's first write and removed after its last, so
 * that the list may name a group that is blank, but never misses one that is not.
 */
export class Registration {
  readonly #store: GroupStore;
  readonly #calls: RegistrationCalls;
  #opening: Promise<void> | undefined;
  #closing: Promise<boolean> | undefined;

  constructor(store: GroupStore, calls: RegistrationCalls) {
    this.#store = store;
    this.#calls = calls;
  }

  /** Whether the group may be written to, in this turn. */
  get isOpen(): boolean {
    return this.#store.exists && !this.#store.isClosing && this.#closing === undefined;
  }

  /** Look at {@link isOpen} again after it; rejects if the Controller cannot be reached. */
  async open(): Promise<void> {
    this.#opening ??= this.#openOnce().finally(() => {
      this.#opening = undefined;
    });
    await this.#opening;
  }

  async #openOnce(): Promise<void> {
    // The Controller must not hear of the closing after it has heard of this.
    await this.#closing;
    if (this.#store.exists && !this.#store.isClosing) return;
    await this.#calls.open();
    this.#calls.transaction(() => {
      if (this.#store.exists) this.#store.setClosing(false);
      else this.#store.create(this.#calls.groupId);
    });
  }

  /** False: the Controller could not be told, try again later. True: nothing is left, or the group is in use again. */
  close(): Promise<boolean> {
    this.#closing ??= this.#closeOnce().finally(() => {
      this.#closing = undefined;
    });
    return this.#closing;
  }

  async #closeOnce(): Promise<boolean> {
    await this.#opening?.catch(() => undefined);
    if (!this.#store.exists || !this.#store.isClosing) return true;
    try {
      await this.#calls.close();
    } catch (error) {
      console.warn("the Controller could not be told that a group is gone, will try again:", error);
      return false;
    }
    this.#calls.transaction(() => this.#store.drop());
    return true;
  }
}
