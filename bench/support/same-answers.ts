/** Whether ours answers as Prometheus does: a fast answer that is wrong is worth nothing. */
import type { BenchServer } from "./servers.ts";
import { firstDifference, parseAnswer, timedQuery, type Query } from "./timed-query.ts";

const TOLERANCE = 1e-9;

/** @returns a sentence for each query that ours and Prometheus answer differently, or one that says there is none */
export async function compareAnswers(servers: readonly BenchServer[], queries: readonly Query[]): Promise<string[]> {
  const ours = servers.find(({ product }) => product.peer === undefined);
  const peer = servers.find(({ product }) => product.peer === "Prometheus");
  if (ours === undefined || peer === undefined) return ["answers: not compared"];
  const differences: string[] = [];
  for (const asked of queries) {
    const [a, b] = [parseAnswer(await timedQuery(ours.url, asked)), parseAnswer(await timedQuery(peer.url, asked))];
    const difference = firstDifference(a, b, TOLERANCE);
    if (difference !== undefined) differences.push(`DIFFERENT ANSWERS: ${asked.query}: ${difference}`);
  }
  return differences.length > 0 ? differences : [`answers: the same as Prometheus' within ${TOLERANCE}`];
}
