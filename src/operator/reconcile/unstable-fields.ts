/**
 * Fields that somebody else keeps changing back: a webhook, another controller, a second manager of the same object. Each is
 * repaired three times in ten minutes and then left alone, as long as it differs, so that the two do not write for ever. A
 * new wish of the user's for the object begins anew.
 */
import type { Clock } from "../../base/clock.ts";
import type { Difference } from "./difference.ts";

export const REPAIRS_MAX = 3;
export const WINDOW_MS = 600_000;

interface Field {
  /** When it was repaired. */
  repairedMs: number[];
  /** When it was last seen to differ. */
  seenMs: number;
  isLeft: boolean;
}

interface Entry {
  readonly fingerprint: string;
  readonly fields: Map<string, Field>;
}

export interface Verdict {
  /** What is still worth an apply; undefined: nothing. */
  readonly difference: Difference | undefined;
  /** Fields that are left alone. */
  readonly left: readonly string[];
  /** Those of them that are left from now on. */
  readonly newlyLeft: readonly string[];
}

export class UnstableFields {
  readonly #clock: Clock;
  readonly #entries = new Map<string, Entry>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** @param fingerprint of the object as it should be */
  judge(key: string, fingerprint: string, difference: Difference | undefined): Verdict {
    const nowMs = this.#clock.monotonicMs();
    const entry = this.#entries.get(key);
    if (entry === undefined || entry.fingerprint !== fingerprint) {
      this.#entries.delete(key);
      return { difference, left: [], newlyLeft: [] };
    }
    for (const [path, { seenMs }] of entry.fields) if (nowMs - seenMs >= WINDOW_MS) entry.fields.delete(path);
    if (entry.fields.size === 0) this.#entries.delete(key);
    if (difference === undefined) return { difference, left: [], newlyLeft: [] };

    const left: string[] = [];
    const newlyLeft: string[] = [];
    const isWorthIt = (path: string): boolean => {
      const field = entry.fields.get(path);
      if (field === undefined) return true;
      field.seenMs = nowMs;
      field.repairedMs = field.repairedMs.filter((ms) => nowMs - ms < WINDOW_MS);
      if (!field.isLeft && field.repairedMs.length < REPAIRS_MAX) return true;
      if (!field.isLeft) newlyLeft.push(path);
      field.isLeft = true;
      left.push(path);
      return false;
    };
    const changed = difference.changed.filter(isWorthIt);
    const dropped = difference.dropped.filter(isWorthIt);
    const isNothing = !difference.isMissing && changed.length + dropped.length === 0;
    return { difference: isNothing ? undefined : { ...difference, changed, dropped }, left, newlyLeft };
  }

  /** Fields were set as they should be. */
  repaired(key: string, fingerprint: string, { changed, dropped }: Difference): void {
    const nowMs = this.#clock.monotonicMs();
    const known = this.#entries.get(key);
    const entry = known?.fingerprint === fingerprint ? known : { fingerprint, fields: new Map<string, Field>() };
    this.#entries.set(key, entry);
    for (const path of [...changed, ...dropped]) {
      const field = entry.fields.get(path) ?? { repairedMs: [], seenMs: nowMs, isLeft: false };
      field.repairedMs.push(nowMs);
      field.seenMs = nowMs;
      entry.fields.set(path, field);
    }
  }

  /** Of a database that is gone. @param prefix of the keys of its objects */
  forget(prefix: string): void {
    for (const key of this.#entries.keys()) if (key.startsWith(prefix)) this.#entries.delete(key);
  }
}
