/** Requests made of the rows of the table and the times of a recording, and both servers' answers to them compared. */
import { ask } from "../support/http.ts";
import type { QueryRequest } from "../support/http.ts";
import { compare } from "./compare.ts";
import type { Row } from "./queries.ts";
import type { Moments } from "./recording.ts";

export interface Asked extends QueryRequest {
  readonly isOrdered: boolean;
}

export function instant({ query, isOrdered = false }: Row, time: string, moments: Moments): Asked {
  return {
    path: "/api/v1/query",
    parameters: [
      ["query", filled(query, moments)],
      ["time", time],
    ],
    isOrdered,
  };
}

export interface Grid {
  readonly start: string;
  readonly end: string;
  readonly step: string;
}

export function ranged({ query }: Row, { start, end, step }: Grid, moments: Moments): Asked {
  return {
    path: "/api/v1/query_range",
    parameters: [
      ["query", filled(query, moments)],
      ["start", start],
      ["end", end],
      ["step", step],
    ],
    isOrdered: true,
  };
}

function filled(query: string, { startMs, outageMs, endMs }: Moments): string {
  const times = { $outage: outageMs, $middle: (startMs + endMs) / 2, $end: endMs };
  return query.replace(/\$(outage|middle|end)/g, (name) => seconds(times[name as keyof typeof times]));
}

/** As a parameter is written. */
export const seconds = (ms: number): string => (ms / 1000).toFixed(3);

export interface Judgement {
  /** A request with its differences, for each that has some. */
  readonly differing: readonly string[];
  /** Answers that are equal byte for byte. */
  readonly identicalCount: number;
}

export async function askBoth(theirUrl: string, ourUrl: string, requests: readonly Asked[]): Promise<Judgement> {
  const differing: string[] = [];
  let identicalCount = 0;
  for (const request of requests) {
    const [theirs, ours] = await Promise.all([ask(theirUrl, request), ask(ourUrl, request)]);
    const { differences, isByteForByte } = compare(theirs, ours, request.isOrdered);
    if (isByteForByte) identicalCount++;
    if (differences.length > 0)
      differing.push(`${request.path} ${JSON.stringify(request.parameters)}\n    ${differences.join("\n    ")}`);
  }
  return { differing, identicalCount };
}
