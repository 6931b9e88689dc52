/** Runs a job in a query worker on behalf of a request: counted, timed, and canceled when the client hangs up. */
import { TsdbError, messageOf } from "../../base/errors.ts";
import type { QueryAnswer } from "../query/pool.ts";
import type { QueryJob } from "../query/protocol.ts";
import { invalidParameter } from "./params.ts";
import type { RouteContext } from "./route.ts";

/** The answer as a route returns it; once bytes are on their way a failure can only break the connection off. */
export async function runQuery(
  { deps, counters, reply }: RouteContext,
  job: QueryJob,
  timeoutMs: number,
): Promise<QueryAnswer> {
  const { clock, queries, log } = deps;
  const startMs = clock.monotonicMs();
  const hangUp = new AbortController();
  const onClose = (): void => hangUp.abort();
  reply.raw.once("close", onClose);
  counters.queries.add(job.kind);
  let failure: string | undefined;
  try {
    return await queries.run(job, { timeoutMs, signal: hangUp.signal });
  } catch (error) {
    failure = messageOf(error);
    counters.queryErrors.add(error instanceof TsdbError ? error.code : "INTERNAL");
    throw ofParameter(job, error);
  } finally {
    reply.raw.off("close", onClose);
    const durationMs = clock.monotonicMs() - startMs;
    counters.queryDuration.observe(durationMs / 1000);
    log.debug({ operation: "query", ...job, failure, duration_ms: Math.round(durationMs * 1000) / 1000 }, "query");
  }
}

/** What cannot be parsed is refused in the name of the parameter it came in, except by the label routes. */
function ofParameter({ kind }: QueryJob, error: unknown): unknown {
  if (!(error instanceof TsdbError) || error.code !== "BAD_QUERY") return error;
  switch (kind) {
    case "instant":
    case "range":
    case "format":
      return invalidParameter("query", error.message);
    case "series":
      return invalidParameter("match[]", error.message);
    default:
      return error;
  }
}

/** All bytes of an answer, for a route that makes another one of them. */
export async function readAnswer(answer: QueryAnswer): Promise<Buffer> {
  if (answer instanceof Uint8Array) return Buffer.from(answer.buffer, answer.byteOffset, answer.byteLength);
  const pieces: Buffer[] = [];
  for await (const piece of answer) pieces.push(piece as Buffer);
  return Buffer.concat(pieces);
}
