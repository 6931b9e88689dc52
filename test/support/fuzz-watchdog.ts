/**
 * Ends a process that hangs in one input, which no timer of its own could do, after saying which input it was. The watch
 * is kept by a second thread over a counter that this one moves.
 */
import { writeSync } from "node:fs";
import { isMainThread, Worker, workerData } from "node:worker_threads";

const HANG_SECONDS = 20;
const SEED = 0;
const RUNS = 1;

export interface Watchdog {
  /** A run begins with the input of this seed. */
  starts(seed: number): void;
  stop(): Promise<void>;
}

interface Watched {
  readonly fuzzTarget: string;
  readonly state: Int32Array;
}

export function watchForHangs(fuzzTarget: string): Watchdog {
  const state = new Int32Array(new SharedArrayBuffer(8));
  const worker = new Worker(new URL("./fuzz-watchdog.ts", import.meta.url), {
    workerData: { fuzzTarget, state } satisfies Watched,
  });
  worker.unref();
  return {
    starts(seed) {
      Atomics.store(state, SEED, seed | 0);
      Atomics.add(state, RUNS, 1);
    },
    stop: async () => void (await worker.terminate()),
  };
}

function watch({ fuzzTarget, state }: Watched): void {
  let seen = -1;
  setInterval(() => {
    const runs = Atomics.load(state, RUNS);
    if (runs === seen) {
      const seed = Atomics.load(state, SEED) >>> 0;
      writeSync(2, `\nIt hangs: repeat with SEED=${seed} FUZZ_RUNS=1 npm test -- ${fuzzTarget}\n`);
      process.kill(process.pid, "SIGKILL");
    }
    seen = runs;
  }, HANG_SECONDS * 1000);
}

if (!isMainThread && (workerData as Partial<Watched> | null)?.fuzzTarget !== undefined) watch(workerData as Watched);
