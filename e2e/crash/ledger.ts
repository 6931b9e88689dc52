/**
 * What was sent and what became of it, and the judge of what is found after a fault.
 *
 *   acked    answered 2xx: each sample must be there once, bit for bit
 *   doubt    anything else (5xx, a broken connection, an answer that came after the fault): there as a whole or not at all
 *   gone     acknowledged, then lost in a power cut that was allowed to lose it: must stay away
 *
 * Requests that must be refused are not entered: what is found of one was "never sent".
 *
 * Order: `sent` and `answered` number the moments at which a request was first sent and its 2xx seen, over all connections.
 * A request whose answer was seen before another was sent comes before it in the order of commits; that is all one can
 * know from outside, and enough to judge whether what is left is a prefix of that order.
 */
import { SERIES_PER_SHARD, SHARDS, valueAt } from "./workload.ts";

export interface SentRequest {
  readonly shard: number;
  /** Ascending, newer than all earlier ones of the shard. */
  readonly timesMs: readonly number[];
  readonly sent: number;
  attempts: number;
  outcome: "acked" | "doubt" | "gone";
  answered: number;
}

/** Samples of one series as a query gives them. */
export interface FoundSeries {
  /** Its number within the shard. */
  readonly i: number;
  readonly timesMs: readonly number[];
  readonly values: readonly number[];
}

/** What must be there: all that was acknowledged, or what a prefix of the order of commits holds. */
export type Promised = "all" | "prefix";

export interface Findings {
  /** Acknowledged samples that were looked for. */
  acked: number;
  lost: number;
  wrong: number;
  /** Acknowledged samples that are missing behind the end of a prefix. */
  allowedLosses: number;
  readonly problems: string[];
}

/** Queries under way at once. */
const READERS = 2;

export class Ledger {
  readonly seed: number;
  readonly #shards: SentRequest[][] = Array.from({ length: SHARDS }, () => []);
  #moment = 0;

  constructor(seed: number) {
    this.seed = seed;
  }

  begin(shard: number, timesMs: readonly number[]): SentRequest {
    const request: SentRequest = { shard, timesMs, sent: ++this.#moment, attempts: 0, outcome: "doubt", answered: 0 };
    this.#shards[shard]!.push(request);
    return request;
  }

  acknowledge(request: SentRequest): void {
    request.outcome = "acked";
    request.answered = ++this.#moment;
  }

  last(shard: number): SentRequest | undefined {
    return this.#shards[shard]!.at(-1);
  }

  get ackedSamples(): number {
    return this.#shards
      .flat()
      .reduce((sum, request) => sum + (request.outcome === "acked" ? samplesOf(request) : 0), 0);
  }

  /** Compares everything with what `read` finds. What a prefix may lack, and lacks, is gone from then on. */
  async judge(read: (shard: number) => Promise<readonly FoundSeries[]>, promised: Promised): Promise<Findings> {
    const findings: Findings = { acked: this.ackedSamples, lost: 0, wrong: 0, allowedLosses: 0, problems: [] };
    const missing: SentRequest[] = [];
    const present: SentRequest[] = [];
    const shards = this.#shards.keys().filter((shard) => this.#shards[shard]!.length > 0);
    const readAll = async (): Promise<void> => {
      for (const shard of shards) {
        const counts = this.#count(shard, await read(shard), findings);
        for (const request of this.#shards[shard]!) {
          const [found, whole] = [counts.get(request) ?? 0, samplesOf(request)];
          if (found === whole) present.push(request);
          else if (found > 0)
            report(findings, "wrong", found, `${name(request)} is there in part: ${found} of ${whole}`);
          if (request.outcome === "acked" && found < whole) missing.push(request);
        }
      }
    };
    await Promise.all(Array.from({ length: READERS }, readAll));
    if (promised === "prefix") judgePrefix(missing, present, findings);
    else for (const request of missing) report(findings, "lost", samplesOf(request), `${name(request)} is lost`);
    return findings;
  }

  /** How many samples of each request were found; whatever should not be there is reported. */
  #count(shard: number, found: readonly FoundSeries[], findings: Findings): Map<SentRequest, number> {
    const requestAt = new Map<number, SentRequest>();
    for (const request of this.#shards[shard]!) for (const timeMs of request.timesMs) requestAt.set(timeMs, request);
    const counts = new Map<SentRequest, number>();
    for (const { i, timesMs, values } of found) {
      const series = shard * SERIES_PER_SHARD + i;
      let newestMs = Number.NEGATIVE_INFINITY;
      for (const [index, timeMs] of timesMs.entries()) {
        const wrong = (what: string): void =>
          report(findings, "wrong", 1, `The sample of series ${i} of shard ${shard} at ${timeMs} ${what}`);
        if (timeMs <= newestMs) wrong("stands twice, or out of order");
        newestMs = timeMs;
        const expected = valueAt(this.seed, series, timeMs);
        if (!Object.is(values[index], expected)) wrong(`is ${values[index]} instead of ${expected}`);
        const request = requestAt.get(timeMs);
        if (!request) wrong("was never sent, or refused");
        else if (request.outcome === "gone") wrong("was lost, and is back");
        else counts.set(request, (counts.get(request) ?? 0) + 1);
      }
    }
    return counts;
  }
}

/** Whether nothing that is there came after something that is missing. */
function judgePrefix(missing: readonly SentRequest[], present: readonly SentRequest[], findings: Findings): void {
  const first = missing.reduce<SentRequest | undefined>(
    (earliest, request) => (!earliest || request.answered < earliest.answered ? request : earliest),
    undefined,
  );
  if (!first) return;
  for (const request of missing) {
    findings.allowedLosses += samplesOf(request);
    request.outcome = "gone";
  }
  for (const later of present)
    if (later.sent > first.answered)
      report(findings, "lost", samplesOf(first), `${name(first)} is missing, yet there is ${name(later)}: no prefix`);
}

export const samplesOf = ({ timesMs }: SentRequest): number => timesMs.length * SERIES_PER_SHARD;

function name({ shard, timesMs, sent, answered }: SentRequest): string {
  const order = answered > 0 ? `sent at ${sent}, acknowledged at ${answered}` : `sent at ${sent}`;
  return `a request of shard ${shard} from ${timesMs[0]} to ${timesMs.at(-1)} (${order})`;
}

const PROBLEMS_MAX = 20;

function report(findings: Findings, kind: "lost" | "wrong", samples: number, text: string): void {
  findings[kind] += samples;
  if (findings.problems.length < PROBLEMS_MAX) findings.problems.push(text);
}
