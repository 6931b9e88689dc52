/**
 * The budgets: what the database may cost, as a share of what a peer costs in the same interleaved run. They are those of
 * docs/benchmarks.md; "aim" is what we want, "required" what must hold.
 */
export type Peer = "VictoriaMetrics" | "Prometheus";

export interface Budget {
  readonly measure: string;
  readonly against: Peer;
  readonly required: number;
  readonly aim?: number;
  /** Whether more is better. */
  readonly isFloor?: boolean;
}

export const budgets = {
  writeCpu: {
    VictoriaMetrics: { measure: "CPU per sample written", against: "VictoriaMetrics", required: 0.55, aim: 0.4 },
    Prometheus: { measure: "CPU per sample written", against: "Prometheus", required: 0.15 },
  },
  writeP99: {
    VictoriaMetrics: { measure: "p99 of writes at full load", against: "VictoriaMetrics", required: 1 },
    Prometheus: { measure: "p99 of writes at full load", against: "Prometheus", required: 0.3 },
  },
  memory: {
    VictoriaMetrics: { measure: "RSS at 1 M series, 240 samples each", against: "VictoriaMetrics", required: 1 },
    Prometheus: { measure: "RSS at 1 M series, 240 samples each", against: "Prometheus", required: 0.25 },
  },
  blockBytes: {
    VictoriaMetrics: { measure: "bytes a sample, merged", against: "VictoriaMetrics", required: 1 },
    Prometheus: { measure: "bytes a sample, merged", against: "Prometheus", required: 0.4 },
  },
  rangeQuery: {
    VictoriaMetrics: { measure: "sum(rate) over 1 day of 1,000 series", against: "VictoriaMetrics", required: 0.6 },
    Prometheus: { measure: "sum(rate) over 1 day of 1,000 series", against: "Prometheus", required: 0.2 },
  },
  instantQuery: {
    VictoriaMetrics: { measure: "instant aggregation over 25 k series", against: "VictoriaMetrics", required: 0.2 },
    Prometheus: { measure: "instant aggregation over 25 k series", against: "Prometheus", required: 0.2 },
  },
  replay: {
    Prometheus: { measure: "samples replayed a second", against: "Prometheus", required: 4, isFloor: true },
  },
} as const satisfies Readonly<Record<string, Readonly<Partial<Record<Peer, Budget>>>>>;

export interface Verdict {
  readonly what: string;
  readonly ratio: number;
  readonly outcome: "aim met" | "met" | "missed";
  readonly text: string;
}

/** Compares ours with a peer's. @param what the case, to be told from others with the same budget */
export function judge(budget: Budget, what: string, ours: number, peer: number): Verdict {
  const ratio = ours / peer;
  const { required, aim, against, measure, isFloor = false } = budget;
  const holds = (limit: number) => (isFloor ? ratio >= limit : ratio <= limit);
  const outcome = aim !== undefined && holds(aim) ? "aim met" : holds(required) ? "met" : "missed";
  const sign = isFloor ? ">=" : "<=";
  const limits = `${aim === undefined ? "" : `aim ${sign} ${aim}x, `}required ${sign} ${required}x`;
  const text = `${outcome.toUpperCase().padEnd(8)} ${measure} (${what}): ${ratio.toFixed(2)}x ${against} (${limits})`;
  return { what: `${measure} (${what}) against ${against}`, ratio, outcome, text };
}

/** Judges ours against each peer that ran beside it. @param figures of the servers, in their order */
export function judgeServers(
  budget: Readonly<Record<Peer, Budget>>,
  what: string,
  servers: readonly { readonly product: { readonly peer: Peer | undefined } }[],
  figures: readonly number[],
): Verdict[] {
  const ours = servers.findIndex(({ product }) => product.peer === undefined);
  return servers.flatMap(({ product: { peer } }, i) =>
    ours < 0 || peer === undefined ? [] : [judge(budget[peer], what, figures[ours]!, figures[i]!)],
  );
}
