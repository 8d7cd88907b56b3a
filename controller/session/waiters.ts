/** Callers that wait for a pass, and are told what it came to; one of them may have brought an order for it. */
import type { Outcome } from '../pass/outcome.ts';
import type { Order } from '../revisions/revisions.ts';

interface Waiter {
  readonly order: Order | undefined;
  readonly resolve: (outcome: Outcome) => void;
  readonly reject: (cause: unknown) => void;
}

export class Waiters {
  #waiting: Waiter[] = [];

  wait(order: Order | undefined): Promise<Outcome> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ order, resolve, reject });
    });
  }

  get isEmpty(): boolean {
    return this.#waiting.length === 0;
  }

  get order(): Order | undefined {
    return this.#waiting.find(({ order }) => order !== undefined)?.order;
  }

  /** Callers that wait with `others` wait here from now on. */
  join(others: Waiters): void {
    this.#waiting.push(...others.#waiting.splice(0));
  }

  resolve(outcome: Outcome): void {
    for (const { resolve } of this.#waiting.splice(0)) resolve(outcome);
  }

  reject(cause: unknown): void {
    for (const { reject } of this.#waiting.splice(0)) reject(cause);
  }
}
