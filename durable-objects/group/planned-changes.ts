import type { Failure } from "../../src/model/errors.ts";
import type { Subscriptions, TopicDirectory, TopicSnapshot } from "./consumer/topic-directory.ts";

/** What is to be done when what it needs is known. */
export interface Plan<T> {
  readonly needs: Subscriptions | undefined;
  /** `topics`: undefined if nothing is needed, or if the Controller cannot be reached. */
  run(topics: TopicSnapshot | undefined): T;
}

export interface PlanOptions {
  /** The group is registered first, if it is not. */
  readonly opens: boolean;
  /** What is known of topics does not do, however young it is. */
  readonly looksAgain?: boolean;
}

export interface PlannedChangesContext {
  readonly topics: TopicDirectory;
  readonly registration: { readonly isOpen: boolean; open(): Promise<void> };
  /** Carries a change out, in this turn. */
  change<T>(change: () => T): T;
}

/** Changes that must know first what only the Controller can tell. */
export class PlannedChanges {
  readonly #context: PlannedChangesContext;

  constructor(context: PlannedChangesContext) {
    this.#context = context;
  }

  /**
   * Plans, waits for what the plan needs, and plans anew: meanwhile everything may have become different. From the last plan
   * to the change everything happens in one turn.
   */
  async carryOut<T>(
    plan: () => Plan<T> | Failure,
    { opens, looksAgain = false }: PlanOptions,
  ): Promise<T | Failure> {
    const { topics, registration, change } = this.#context;
    let isControllerDown = false;
    let mustLook = looksAgain;
    for (;;) {
      const planned = plan();
      if ("error" in planned) return planned;
      if (opens && !registration.isOpen) {
        await registration.open();
        continue;
      }
      const { needs, run } = planned;
      const isKnown = needs !== undefined && (!mustLook || isControllerDown);
      const snapshot = isKnown ? topics.peek(needs, isControllerDown) : undefined;
      if (needs === undefined || snapshot !== undefined || isControllerDown) {
        return change(() => run(snapshot));
      }
      try {
        await topics.refresh(needs);
        mustLook = false;
      } catch (error) {
        console.warn("the Controller could not be asked for topics, what is known must do:", error);
        isControllerDown = true;
      }
    }
  }
}
