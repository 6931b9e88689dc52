/**
 * What the API server did not take, and when it is asked again. A refused object is refused again until somebody changes
 * something that the operator is not told of (a quota, a StorageClass, a webhook), so it comes again slowly, whatever else
 * happens to its database meanwhile; another object in its place comes at once.
 */
import type { Clock } from "../../base/clock.ts";
import type { ClusterError } from "../cluster/errors.ts";

/** What a refusal is about, for those who have to say something to the user. */
export type RefusalKind = "Quota" | "Forbidden" | "Invalid" | "Failing";

export interface Refusal {
  readonly kind: RefusalKind;
  /** The API server's words. */
  readonly message: string;
}

/** Until it is asked again: 15 s, 30 s, ... 5 min. */
export const RETRY_MS_MIN = 15_000;
export const RETRY_MS_MAX = 300_000;

/** A server that fails once or twice is no news: the queue tries again within seconds. */
const FAILURES_TOLD = 3;

interface Entry {
  readonly refusal: Refusal;
  /** Of what was refused. */
  readonly fingerprint: string;
  readonly failures: number;
  readonly retryAtMs: number;
}

export class Refusals {
  readonly #clock: Clock;
  readonly #entries = new Map<string, Entry>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** How long an object is not to be sent again; 0: it may be. */
  waitMs(key: string, fingerprint: string): number {
    const entry = this.#entries.get(key);
    if (entry === undefined || entry.fingerprint !== fingerprint) return 0;
    return Math.max(0, entry.retryAtMs - this.#clock.monotonicMs());
  }

  /** What there is to be said about an object; undefined when it was taken, or has failed only once or twice. */
  get(key: string): Refusal | undefined {
    const entry = this.#entries.get(key);
    return entry !== undefined && (entry.refusal.kind !== "Failing" || entry.failures >= FAILURES_TOLD)
      ? entry.refusal
      : undefined;
  }

  /** @returns whether the same must not be sent again for a while; otherwise the queue's own backoff will do */
  refused(key: string, fingerprint: string, error: ClusterError): boolean {
    const kind = kindOf(error);
    const before = this.#entries.get(key);
    const failures = (before?.fingerprint === fingerprint ? before.failures : 0) + 1;
    const isFinal = kind !== "Failing";
    const delayMs = isFinal ? Math.min(RETRY_MS_MAX, RETRY_MS_MIN * 2 ** Math.min(failures - 1, 16)) : 0;
    const retryAtMs = this.#clock.monotonicMs() + delayMs;
    this.#entries.set(key, { refusal: { kind, message: firstLine(error.detail) }, fingerprint, failures, retryAtMs });
    return isFinal;
  }

  taken(key: string): void {
    this.#entries.delete(key);
  }

  /** Of a database that is gone. @param prefix of the keys of its objects */
  forget(prefix: string): void {
    for (const key of this.#entries.keys()) if (key.startsWith(prefix)) this.#entries.delete(key);
  }
}

/** Some messages go on with the whole object, before and after. */
const firstLine = (text: string): string => text.split("\n", 1)[0]!.trim();

function kindOf(error: ClusterError): RefusalKind {
  if (error.isForbidden) return /exceeded quota|failed quota/.test(error.detail) ? "Quota" : "Forbidden";
  return error.isInvalid ? "Invalid" : "Failing";
}
