/** What is counted of the API server, of what is watched, of the lease and of events. */
import { Counter, Gauge, Histogram } from "prom-client";
import type { Registry } from "prom-client";
import type { EventOutcome } from "./events.ts";
import type { ListReason, WatchEnd } from "./reflector.ts";
import type { Verb } from "./transport.ts";

/** What the gauges read, when somebody scrapes. */
export interface WatchedResource {
  readonly resource: string;
  readonly objects: number;
  readonly isSynced: boolean;
  readonly silenceMs: number;
}

export class ClusterMetrics {
  readonly #requests: Counter<"verb" | "resource" | "code">;
  readonly #seconds: Histogram<"verb">;
  readonly #warnings: Counter;
  readonly #watchEnds: Counter<"resource" | "reason">;
  readonly #lists: Counter<"resource" | "reason">;
  readonly #missed: Counter<"resource">;
  readonly #events: Counter<"outcome">;
  readonly #registry: Registry;

  constructor(registry: Registry) {
    const registers = [registry];
    this.#registry = registry;
    this.#requests = new Counter({
      name: "tsdb_operator_api_requests_total",
      help: 'Requests to the API server, by verb, resource and status; code "none" where there was no answer.',
      labelNames: ["verb", "resource", "code"],
      registers,
    });
    this.#seconds = new Histogram({
      name: "tsdb_operator_api_request_duration_seconds",
      help: "Time to the head of an answer of the API server, by verb.",
      labelNames: ["verb"],
      buckets: [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30],
      registers,
    });
    this.#warnings = new Counter({
      name: "tsdb_operator_api_warnings_total",
      help: "Warnings of the API server; the log has each once.",
      registers,
    });
    this.#watchEnds = new Counter({
      name: "tsdb_operator_watch_ends_total",
      help: "Watches that ended, by reason: timeout is the server's own, and normal.",
      labelNames: ["resource", "reason"],
      registers,
    });
    this.#lists = new Counter({
      name: "tsdb_operator_lists_total",
      help: "Lists of all objects of a resource, by reason: start, and every ten minutes audit, are normal.",
      labelNames: ["resource", "reason"],
      registers,
    });
    this.#missed = new Counter({
      name: "tsdb_operator_watch_missed_total",
      help: "Objects whose change or deletion no watch had told of, found by an audit.",
      labelNames: ["resource"],
      registers,
    });
    this.#events = new Counter({
      name: "tsdb_operator_events_total",
      help: "Events, by what became of them: sent, repeated (told within ten minutes before), dropped, failed.",
      labelNames: ["outcome"],
      registers,
    });
  }

  readonly onAttempt = (attempt: { verb: Verb; resource: string; code: string; seconds: number }): void => {
    const { verb, resource, code, seconds } = attempt;
    this.#requests.inc({ verb, resource, code });
    this.#seconds.observe({ verb }, seconds);
  };

  readonly onWarning = (): void => this.#warnings.inc();
  readonly onEvent = (outcome: EventOutcome): void => this.#events.inc({ outcome });

  onWatchEnd(resource: string, reason: WatchEnd): void {
    this.#watchEnds.inc({ resource, reason });
  }

  onList(resource: string, reason: ListReason): void {
    this.#lists.inc({ resource, reason });
  }

  onMissed(resource: string, count: number): void {
    this.#missed.inc({ resource }, count);
  }

  /** Shows what is watched as it is at each scrape. */
  showWatched(watched: () => readonly WatchedResource[]): void {
    this.#gauge("tsdb_operator_cached_objects", "Objects known of a resource.", watched, ({ objects }) => objects);
    this.#gauge("tsdb_operator_synced", "1 once all objects of a resource have been listed.", watched, ({ isSynced }) =>
      isSynced ? 1 : 0,
    );
    this.#gauge(
      "tsdb_operator_watch_silence_seconds",
      "Time since the API server last said anything of a resource.",
      watched,
      ({ silenceMs }) => silenceMs / 1000,
    );
  }

  /** Shows whether this process leads. */
  showLeading(isLeading: () => boolean): void {
    const gauge = new Gauge({
      name: "tsdb_operator_leader",
      help: "1 while this process leads and may write.",
      registers: [],
      collect() {
        this.set(isLeading() ? 1 : 0);
      },
    });
    this.#registry.registerMetric(gauge);
  }

  #gauge(
    name: string,
    help: string,
    watched: () => readonly WatchedResource[],
    value: (watched: WatchedResource) => number,
  ): void {
    const gauge = new Gauge({
      name,
      help,
      labelNames: ["resource"],
      registers: [],
      collect() {
        for (const one of watched()) this.set({ resource: one.resource }, value(one));
      },
    });
    this.#registry.registerMetric(gauge);
  }
}
