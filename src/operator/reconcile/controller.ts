/**
 * The operator at work, while it leads: what changes in the cluster adds the key of a database to the queue, and workers take
 * keys from there. While another leads, it only watches, and so begins with full stores when its turn comes.
 */
import type { Timer } from "../../base/clock.ts";
import type { Logger } from "../../base/logger.ts";
import { nextTurn } from "../../base/turn.ts";
import { ClusterError } from "../cluster/errors.ts";
import { EngineStates, type EngineStatesOptions } from "./engine-states.ts";
import { WorkQueue, type QueueStats } from "./queue.ts";
import { reconcile, type ReconcileDeps } from "./reconcile.ts";
import { Refusals } from "./refusals.ts";
import { UnstableFields } from "./unstable-fields.ts";
import type { World } from "./world.ts";

export interface ControllerOptions extends Pick<
  ReconcileDeps,
  "client" | "events" | "onUnstableField" | "facts" | "clock" | "log"
> {
  readonly world: World;
  /** Databases that are worked on at once. */
  readonly workers: number;
  readonly stateIntervalMs: number;
  /** Every database is looked at once in a while, whatever was missed: it costs no request when all is well. */
  readonly lookIntervalMs: number;
  readonly askEngine: EngineStatesOptions["ask"];
  readonly onRun: (outcome: RunOutcome, durationMs: number) => void;
}

export type RunOutcome = "done" | "failed";

export class Controller {
  readonly #options: ControllerOptions;
  readonly #queue: WorkQueue;
  readonly #engineStates: EngineStates;
  readonly #deps: ReconcileDeps;
  #isActive = false;
  #timer: Timer | undefined;

  constructor(options: ControllerOptions) {
    const { clock, log, world, workers, stateIntervalMs, askEngine } = options;
    this.#options = options;
    this.#engineStates = new EngineStates({
      clock,
      intervalMs: stateIntervalMs,
      pods: () => world.allPods(),
      ask: askEngine,
      onChange: (key) => this.add(key),
    });
    this.#deps = {
      ...options,
      engineStates: this.#engineStates,
      refusals: new Refusals(clock),
      unstable: new UnstableFields(clock),
    };
    this.#queue = new WorkQueue({
      clock,
      concurrency: workers,
      work: (key) => this.#work(key),
      onError: (key, error, retryInMs) => logFailure(log, key, error, retryInMs),
    });
  }

  /** Begins to act. The stores must be full: what is not there is taken for not existing. */
  start(): void {
    if (this.#isActive) return;
    this.#isActive = true;
    this.addAll();
    this.#engineStates.start();
    this.#lookAtAllLater();
  }

  /** Something of a database has changed. */
  add(key: string): void {
    if (this.#isActive) this.#queue.add(key);
  }

  addAll(): void {
    for (const key of this.#options.world.keys()) this.add(key);
  }

  /** Resolves when nothing runs any more; what waits is left to the next leader. */
  async stop(): Promise<void> {
    this.#isActive = false;
    this.#timer?.cancel();
    await Promise.all([this.#queue.stop(), this.#engineStates.stop()]);
  }

  stats(): QueueStats {
    return this.#queue.stats();
  }

  async #work(key: string): Promise<void> {
    const { clock, onRun } = this.#options;
    let outcome: RunOutcome = "failed";
    // A run that finds nothing to do waits for nobody; a thousand of them must not hold up the lease.
    await nextTurn();
    const startMs = clock.monotonicMs();
    try {
      const { lookAgainInMs } = await reconcile(key, this.#deps);
      if (lookAgainInMs !== undefined) this.#queue.addAfter(key, lookAgainInMs);
      outcome = "done";
    } finally {
      onRun(outcome, clock.monotonicMs() - startMs);
    }
  }

  #lookAtAllLater(): void {
    const { clock, lookIntervalMs } = this.#options;
    this.#timer = clock.after(lookIntervalMs, () => {
      this.addAll();
      this.#lookAtAllLater();
    });
  }
}

function logFailure(log: Logger, key: string, error: unknown, retryInMs: number): void {
  const fields = { database: key, error, retry_in_ms: retryInMs };
  // A conflict is how one learns that a store was behind; the next run sees what it missed.
  if (error instanceof ClusterError && error.isConflict) log.debug(fields, "was changed meanwhile, trying again");
  else if (error instanceof ClusterError) log.warn(fields, "could not do all, trying again");
  else log.error(fields, "a run failed, trying again");
}
