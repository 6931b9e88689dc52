/**
 * The worker's side of protocol.ts: takes jobs, sends the pieces that a runner makes, and waits for credits. What a job
 * computes is the runner's business (worker.ts; a fake in tests), so this is also what tests of the pool rest on.
 */
import { parentPort, workerData } from "node:worker_threads";
import { assert } from "../../base/assert.ts";
import type { Clock } from "../../base/clock.ts";
import { systemClock } from "../../base/clock.ts";
import { TsdbError, messageOf } from "../../base/errors.ts";
import { QueryBudget } from "../promql/budget.ts";
import type { View } from "../storage.ts";
import { CONTROL } from "./protocol.ts";
import type { QueryJob, RunMessage, WorkerMessage, WorkerSetup } from "./protocol.ts";

/** Makes the pieces of one answer; each is a buffer that nobody else uses any more. Throws TsdbError to fail the query. */
export type JobRunner = (job: QueryJob, budget: QueryBudget, view: View) => Iterable<Uint8Array<ArrayBuffer>>;

/** Tells the main thread of a damaged block. */
export type TellDamage = (ulid: string, message: string) => void;

/** Serves jobs until the thread is ended. @param start makes the runner from what the worker was started with */
export function serveQueries(start: (setup: WorkerSetup, tellDamage: TellDamage) => JobRunner): void {
  assert(parentPort !== null, "a query worker runs in a worker thread");
  const port = parentPort;
  const setup = workerData as WorkerSetup;
  const control = new Int32Array(setup.control);
  const send = (message: WorkerMessage, transfer: ArrayBuffer[] = []) => port.postMessage(message, transfer);
  const run = start(setup, (ulid, message) => send({ type: "damage", ulid, message }));

  port.on("message", ({ job, view, timeoutMs }: RunMessage) => {
    const budget = new QueryBudget({ ...setup.limits, timeoutMs }, systemClock, control);
    try {
      for (const { bytes, isLast } of markingLast(run(job, budget, view))) {
        takeCredit(control, setup.writeTimeoutMs, systemClock);
        send({ type: "piece", bytes, isLast }, [bytes.buffer]);
      }
    } catch (error) {
      send(failureOf(error));
    }
  });
}

/** Looks one piece ahead, so that an answer of one piece is known as such and can go out with its length. */
function* markingLast(pieces: Iterable<Uint8Array<ArrayBuffer>>) {
  let waiting: Uint8Array<ArrayBuffer> | undefined;
  for (const piece of pieces) {
    if (waiting !== undefined) yield { bytes: ownBuffer(waiting), isLast: false };
    waiting = piece;
  }
  assert(waiting !== undefined, "an answer has at least one piece");
  yield { bytes: ownBuffer(waiting), isLast: true };
}

/** Small Buffers share Node's pool: transferring one would take the others along. */
const ownBuffer = (piece: Uint8Array<ArrayBuffer>): Uint8Array<ArrayBuffer> =>
  piece.byteLength === piece.buffer.byteLength ? piece : new Uint8Array(piece);

/** Waits until the client took enough of what it was sent. */
function takeCredit(control: Int32Array, timeoutMs: number, clock: Clock): void {
  const giveUpMs = clock.monotonicMs() + timeoutMs;
  for (;;) {
    if (Atomics.load(control, CONTROL.stop) !== 0)
      throw new TsdbError("QUERY_CANCELED", "query was canceled while its result was sent");
    if (Atomics.load(control, CONTROL.credits) > 0) {
      Atomics.sub(control, CONTROL.credits, 1);
      return;
    }
    const leftMs = giveUpMs - clock.monotonicMs();
    if (leftMs <= 0)
      throw new TsdbError("QUERY_CANCELED", `query was canceled: its client took nothing for ${timeoutMs} ms`);
    Atomics.wait(control, CONTROL.credits, 0, leftMs);
  }
}

function failureOf(error: unknown): WorkerMessage {
  if (error instanceof TsdbError)
    return { type: "failed", code: error.code, message: error.message, remedy: error.remedy };
  const stack = error instanceof Error ? error.stack : undefined;
  return { type: "failed", code: "INTERNAL", message: stack ?? messageOf(error), remedy: undefined };
}
