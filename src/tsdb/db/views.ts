/**
 * Views and who reads them. The newest view is what queries that begin from now on see; publishing another one is one
 * assignment. A view that was replaced lives on for the queries that hold it, and whoever wants to delete what only older
 * views have (block files, head chunks) publishes first and then waits until these are read no more.
 */
import { assert } from "../../base/assert.ts";
import { TsdbError } from "../../base/errors.ts";
import type { View } from "../storage.ts";

/** A view in use; what it names stays on disk and in memory until it is released. */
export interface HeldView {
  readonly view: View;
  /** May be called again, to no effect. */
  readonly release: () => void;
}

interface Version {
  readonly view: View;
  /** Goes up with each that is published. */
  readonly number: number;
  readers: number;
}

interface Waiter {
  /** Views with lower numbers are waited for. */
  readonly number: number;
  readonly resolve: () => void;
}

export class Views {
  #current: Version;
  /** Oldest first: those that are read, and the current one. */
  readonly #versions: Version[];
  #waiters: readonly Waiter[] = [];

  constructor(first: View) {
    this.#current = { view: first, number: 0, readers: 0 };
    this.#versions = [this.#current];
  }

  get current(): View {
    return this.#current.view;
  }

  /** How many views are read, or could be. */
  get liveCount(): number {
    return this.#versions.length;
  }

  acquire(): HeldView {
    const version = this.#current;
    version.readers++;
    let isHeld = true;
    const release = (): void => {
      if (!isHeld) return;
      isHeld = false;
      this.#release(version);
    };
    return { view: version.view, release };
  }

  publish(view: View): void {
    const replaced = this.#current;
    this.#current = { view, number: replaced.number + 1, readers: 0 };
    this.#versions.push(this.#current);
    if (replaced.readers === 0) this.#drop(replaced);
  }

  /**
   * Resolves when nobody reads a view that is older than the present one.
   * @throws TsdbError CANCELED once `signal` is aborted
   */
  settled(signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      if (signal.aborted) return reject(canceled());
      if (this.#versions[0] === this.#current) return resolve();
      const onAbort = (): void => {
        this.#waiters = this.#waiters.filter((other) => other !== waiter);
        reject(canceled());
      };
      const waiter: Waiter = {
        number: this.#current.number,
        resolve: () => {
          signal.removeEventListener("abort", onAbort);
          resolve();
        },
      };
      signal.addEventListener("abort", onAbort, { once: true });
      this.#waiters = [...this.#waiters, waiter];
    });
  }

  #release(version: Version): void {
    version.readers--;
    assert(version.readers >= 0, "a view was released more often than it was acquired");
    if (version.readers === 0 && version !== this.#current) this.#drop(version);
  }

  #drop(version: Version): void {
    this.#versions.splice(this.#versions.indexOf(version), 1);
    const oldest = this.#versions[0]!.number;
    const served = this.#waiters.filter(({ number }) => number <= oldest);
    this.#waiters = this.#waiters.filter(({ number }) => number > oldest);
    for (const { resolve } of served) resolve();
  }
}

const canceled = (): TsdbError => new TsdbError("CANCELED", "The work was stopped before its end");
