/** Queries asked of servers by turns: a server that is not asked is stopped, so that it takes nothing of the others' core. */
import type { BenchServer } from "./servers.ts";
import { timedQuery, type Query } from "./timed-query.ts";

export interface RepeatedQuery extends Query {
  /** How often it is asked in a row: short ones take less than the clock of /proc tells apart. */
  readonly repeats: number;
}

export interface QueryTimes {
  readonly latenciesMs: number[];
  /** Of one query, averaged over the repeats. */
  readonly cpuMs: number[];
  answerBytes: number;
}

export const noTimes = (): QueryTimes => ({ latenciesMs: [], cpuMs: [], answerBytes: 0 });

/** Asks a query and adds what it took. @throws Error with what the server said when that is no result */
export async function timeQuery(server: BenchServer, asked: RepeatedQuery, into: QueryTimes): Promise<void> {
  const cpuBefore = server.cpuSeconds();
  for (let repeat = 0; repeat < asked.repeats; repeat++) {
    const { status, body, ms } = await timedQuery(server.url, asked);
    if (status !== 200) throw new Error(`${server.name}: ${asked.query}: ${body.toString("utf8", 0, 600)}`);
    into.answerBytes = body.byteLength;
    into.latenciesMs.push(ms);
  }
  into.cpuMs.push(((server.cpuSeconds() - cpuBefore) * 1000) / asked.repeats);
}

/** Leaves all servers stopped. @returns for each server, for each query */
export async function timeByTurns(
  servers: readonly BenchServer[],
  queries: readonly RepeatedQuery[],
  rounds: number,
  progress: (what: string) => void,
): Promise<QueryTimes[][]> {
  for (const server of servers) server.pause();
  const measured = servers.map(() => queries.map(noTimes));
  // The first round warms up.
  for (let round = 0; round <= rounds; round++) {
    for (const [s, server] of servers.entries()) {
      server.resume();
      for (const [i, asked] of queries.entries())
        await timeQuery(server, asked, round === 0 ? noTimes() : measured[s]![i]!);
      server.pause();
    }
    progress(`round ${round} of ${rounds}`);
  }
  return measured;
}
