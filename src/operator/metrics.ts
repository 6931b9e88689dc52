/** What is counted of runs, of the queue, and of fields that somebody else keeps changing. */
import { Counter, Gauge, Histogram, type Registry } from "prom-client";
import type { RunOutcome } from "./reconcile/controller.ts";
import type { QueueStats } from "./reconcile/queue.ts";

export class ReconcileMetrics {
  readonly #runs: Counter<"outcome">;
  readonly #seconds: Histogram;
  readonly #unstable: Counter<"kind" | "field">;
  readonly #registry: Registry;

  constructor(registry: Registry) {
    const registers = [registry];
    this.#registry = registry;
    this.#runs = new Counter({
      name: "tsdb_operator_reconciles_total",
      help: "Runs over a database, by outcome: done, or failed and tried again.",
      labelNames: ["outcome"],
      registers,
    });
    this.#seconds = new Histogram({
      name: "tsdb_operator_reconcile_duration_seconds",
      help: "Time of a run over a database, its requests to the API server included.",
      buckets: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30],
      registers,
    });
    this.#unstable = new Counter({
      name: "tsdb_operator_unstable_fields_total",
      help: "Fields that were repaired three times in ten minutes and then left as somebody else sets them.",
      labelNames: ["kind", "field"],
      registers,
    });
  }

  readonly onRun = (outcome: RunOutcome, durationMs: number): void => {
    this.#runs.inc({ outcome });
    this.#seconds.observe(durationMs / 1000);
  };

  readonly onUnstableField = (kind: string, field: string): void => this.#unstable.inc({ kind, field });

  /** Shows the queue as it is at each scrape. */
  showQueue(stats: () => QueueStats): void {
    const show = (name: string, help: string, value: (stats: QueueStats) => number): void =>
      this.#registry.registerMetric(
        new Gauge({
          name,
          help,
          registers: [],
          collect() {
            this.set(value(stats()));
          },
        }),
      );
    show("tsdb_operator_queue_depth", "Databases that wait to be worked on.", ({ depth }) => depth);
    show("tsdb_operator_queue_running", "Databases that are being worked on.", ({ running }) => running);
    show(
      "tsdb_operator_queue_oldest_seconds",
      "How long the first in the queue has waited.",
      (at) => at.oldestWaitMs / 1000,
    );
    show(
      "tsdb_operator_queue_adds",
      "Times that a database was to be looked at, since the start.",
      (at) => at.addsTotal,
    );
    show(
      "tsdb_operator_queue_retries",
      "Runs that failed and were tried again, since the start.",
      (at) => at.retriesTotal,
    );
  }
}
