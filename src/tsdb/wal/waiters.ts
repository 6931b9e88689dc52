/** Requests that wait for the same batch. */
import type { TsdbError } from "../../base/errors.ts";

/** One promise for all of them, and how many they are. */
export class Waiters {
  count = 0;
  /** Made when somebody waits: a rejection that nobody waits for must not end the process. */
  #made: PromiseWithResolvers<void> | undefined;

  join(): Promise<void> {
    this.count++;
    this.#made ??= Promise.withResolvers<void>();
    return this.#made.promise;
  }

  resolve(): void {
    this.#made?.resolve();
  }

  reject(error: TsdbError): void {
    this.#made?.reject(error);
  }
}
