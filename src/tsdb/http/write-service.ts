/**
 * A write request, whatever way it came in: is there room, store it, what to answer. The two ways are write-handler.ts
 * (Node's HTTP) and write-lane.ts (a plain sender's connection, without it).
 *
 *   headers ─▶ what is it? ─▶ is there room? ─▶ body, one buffer ─▶ database.write ─▶ durable ─▶ 204
 *
 * Room: the bytes of all bodies being received or handled are bounded, and taken before a byte is read, so overload shows
 * as 503 before memory grows. A small body counts as BODY_BYTES_MIN, because a request costs more than its bytes.
 */
import { TsdbError, messageOf } from "../../base/errors.ts";
import type { Rejection, WriteRequest, WriteResult } from "../storage.ts";
import type { AppDeps } from "./deps.ts";
import { answerFor, type ErrorAnswer } from "./errors.ts";
import type { HttpCounters } from "./metrics.ts";
import { notReady } from "./readiness.ts";

export const WRITE_PATH = "/api/v1/write";

const BODY_BYTES_MIN = 4096;
/** Of each reason; what more there is says the same again. */
const EXAMPLES_SHOWN_MAX = 3;

type WriteDeps = Pick<AppDeps, "database" | "clock" | "log" | "options">;

export class WriteService {
  readonly bodyBytesMax: number;
  readonly #deps: WriteDeps;
  readonly #counters: HttpCounters;

  constructor(deps: WriteDeps, counters: HttpCounters) {
    this.bodyBytesMax = deps.options.bodyBytesMax;
    this.#deps = deps;
    this.#counters = counters;
  }

  /**
   * Takes room for a body of `bodyBytes`; undefined when its length is not known, which counts as the largest.
   * @returns the bytes to give back with `release`, or why the request is refused
   */
  reserve(bodyBytes: number | undefined): number | TsdbError {
    const { database, options } = this.#deps;
    const unready = notReady(database, "write");
    if (unready !== undefined) return unready;
    if (bodyBytes !== undefined && bodyBytes > options.bodyBytesMax) return bodyTooLarge(options.bodyBytesMax);
    const bytes = Math.max(bodyBytes ?? options.bodyBytesMax, BODY_BYTES_MIN);
    const inFlight = this.#counters.bodyBytesInFlight;
    // One request always fits, whatever the two limits are.
    if (inFlight > 0 && inFlight + bytes > options.bodyBytesInFlightMax)
      return overloaded(options.bodyBytesInFlightMax);
    this.#counters.bodyBytesInFlight += bytes;
    return bytes;
  }

  release(bytes: number): void {
    this.#counters.bodyBytesInFlight -= bytes;
  }

  /** Stores a request; resolves with what to answer, which is 204 when it is undefined. Never rejects. */
  async store(request: WriteRequest): Promise<ErrorAnswer | undefined> {
    const { database, clock, log } = this.#deps;
    const startMs = clock.monotonicMs();
    let refusal: unknown;
    let result: WriteResult | undefined;
    try {
      result = await database.write(request);
      if (result.rejections.length > 0) refusal = rejected(result);
    } catch (thrown) {
      refusal = thrown;
    }
    const answer = refusal === undefined ? undefined : answerFor(refusal);
    this.#counters.countRequest(WRITE_PATH, answer?.status ?? 204);
    if (answer?.status === 500) log.error({ operation: "write", error: refusal }, "write failed");
    const durationMs = clock.monotonicMs() - startMs;
    this.#counters.insertDuration.observe(durationMs / 1000);
    log.debug(
      {
        operation: "write",
        format: request.format,
        body_bytes: request.body.byteLength,
        samples: result?.accepted,
        refused: refusal === undefined ? undefined : messageOf(refusal),
        duration_ms: Math.round(durationMs * 1000) / 1000,
      },
      "write",
    );
    return answer;
  }

  /** Counts a request that the database did not see. */
  refuse(error: TsdbError): ErrorAnswer {
    const answer = answerFor(error);
    this.#counters.writesRefused.add(error.code.toLowerCase());
    this.#counters.countRequest(WRITE_PATH, answer.status);
    return answer;
  }
}

export const bodyTooLarge = (bytesMax: number): TsdbError =>
  new TsdbError("BODY_TOO_LARGE", `The body is larger than limits.max_body_size, ${bytesMax} bytes`, {
    remedy: "Send less in one request, or raise the limit with --max-body-size",
  });

const overloaded = (bytesMax: number): TsdbError =>
  new TsdbError(
    "OVERLOADED",
    `Write requests of ${bytesMax} bytes are being handled already; send this one again later`,
  );

/** The answer to a request of which something was refused; what was kept is durable all the same. */
function rejected({ accepted, rejections }: WriteResult): TsdbError {
  const refused = rejections.reduce((sum, { count }) => sum + count, 0);
  const reasons = rejections.map(reasonText).join("; ");
  const isTransient = rejections.some(({ reason }) => reason === "series_limit");
  return new TsdbError(
    isTransient ? "SERIES_LIMIT" : "SAMPLES_REJECTED",
    `${accepted} ${accepted === 1 ? "sample" : "samples"} stored, ${refused} refused: ${reasons}`,
  );
}

/** As `out_of_order 2 (cpu: sample at ... is older than ...; ...)`. */
function reasonText({ reason, count, examples }: Rejection): string {
  if (examples.length === 0) return `${reason} ${count}`;
  const shown = examples.slice(0, EXAMPLES_SHOWN_MAX);
  if (count > shown.length) shown.push("...");
  return `${reason} ${count} (${shown.join("; ")})`;
}
