/**
 * A mutation fuzzer: seed inputs, changed a few times each, given to something that must take any input.
 *
 * Every input is a function of the corpus and one number, so a failure is repeated by that number alone; the message of a
 * failure has the command. A run is judged by what must hold for any input at all: it returns or throws a TsdbError that
 * is not INTERNAL, in time, without touching Object.prototype, without keeping much more memory than the input is long.
 *
 *   FUZZ_SECONDS=60 npm test -- fuzz     longer than the second that each target has by default
 *   SEED=42 FUZZ_RUNS=1 npm test -- ...  one input again
 */
import { TsdbError } from "../../src/base/errors.ts";
import { Random, seedFromEnv } from "./random.ts";
import { mutate } from "./fuzz-mutate.ts";
import { watchForHangs } from "./fuzz-watchdog.ts";

export interface FuzzTarget {
  /** The test file, as `npm test` takes it. */
  readonly name: string;
  /** Inputs to start from, good ones above all: mutants of rubbish are rubbish. */
  readonly corpus: readonly Uint8Array[];
  /** Pieces that are put in here and there: keywords, tags, brackets. */
  readonly dictionary?: readonly Uint8Array[];
  /** Takes one input; throws what the code under test throws, or an assertion of its own. */
  readonly run: (input: Uint8Array) => unknown;
  /** Bytes held by the code under test, such as its WebAssembly memory; must stay below `heldBytesMax`. */
  readonly heldBytes?: () => number;
  readonly heldBytesMax?: number;
  readonly inputBytesMax?: number;
}

/** An input that takes longer three times in a row hangs; once may be the machine's doing. */
const RUN_MS_MAX = 100;
/** However busy the machine is. */
const RUNS_MIN = 20;
const ARRAY_BUFFER_BYTES_MAX = 64 * 2 ** 20;

/** @returns how many inputs were tried */
export async function fuzz(target: FuzzTarget): Promise<number> {
  const firstSeed = seedFromEnv();
  const runsMax = Number(process.env["FUZZ_RUNS"] ?? Number.POSITIVE_INFINITY);
  const watchdog = watchForHangs(target.name);
  try {
    let runs = 0;
    // The seeds themselves first: a corpus that is refused tests nothing but the refusal.
    for (const seed of target.corpus) await mustHold(target, seed, "a seed of the corpus");
    const endMs = performance.now() + Number(process.env["FUZZ_SECONDS"] ?? 1) * 1000;
    const isTimeUp = () => performance.now() >= endMs && runs >= RUNS_MIN && runsMax === Number.POSITIVE_INFINITY;
    for (; runs < runsMax && !isTimeUp(); runs++) {
      const seed = (firstSeed + runs) >>> 0;
      watchdog.starts(seed);
      const input = mutate(target, new Random(seed));
      await mustHold(target, input, `repeat with SEED=${seed} FUZZ_RUNS=1 npm test -- ${target.name}`);
    }
    return runs;
  } finally {
    await watchdog.stop();
  }
}

async function mustHold(target: FuzzTarget, input: Uint8Array, origin: string): Promise<void> {
  const broken = await judge(target, input);
  if (!broken) return;
  const small = await minimize(target, input);
  const { error } = (await judge(target, small)) ?? broken;
  const shown = Buffer.from(small.subarray(0, 300));
  throw new Error(
    `${error.message}\n${origin}\nsmallest input found, ${small.length} bytes: ${JSON.stringify(shown.toString("latin1"))}` +
      `\nhex ${shown.toString("hex")}`,
    { cause: error },
  );
}

const prototypeNames = String(Reflect.ownKeys(Object.prototype).map(String));

/** What was wrong, if anything. */
async function judge(target: FuzzTarget, input: Uint8Array): Promise<{ readonly error: Error } | undefined> {
  let fastestMs = Number.POSITIVE_INFINITY;
  for (let attempt = 0; attempt < 3 && fastestMs > RUN_MS_MAX; attempt++) {
    const heldBefore = process.memoryUsage().arrayBuffers;
    const startMs = cpuMs();
    try {
      await target.run(Uint8Array.from(input));
    } catch (thrown) {
      const isRefusal = thrown instanceof TsdbError && thrown.code !== "INTERNAL";
      if (!isRefusal) return { error: thrown instanceof Error ? thrown : new Error(String(thrown)) };
    }
    fastestMs = Math.min(fastestMs, cpuMs() - startMs);
    const grownBytes = process.memoryUsage().arrayBuffers - heldBefore;
    if (grownBytes > ARRAY_BUFFER_BYTES_MAX) return { error: new Error(`It allocated ${grownBytes} bytes of buffers`) };
  }
  if (fastestMs > RUN_MS_MAX)
    return { error: new Error(`It took ${Math.round(fastestMs)} ms of CPU, three times in a row`) };
  if (String(Reflect.ownKeys(Object.prototype).map(String)) !== prototypeNames)
    return { error: new Error("It changed Object.prototype") };
  const heldBytes = target.heldBytes?.() ?? 0;
  if (heldBytes > (target.heldBytesMax ?? Number.POSITIVE_INFINITY))
    return { error: new Error(`It holds ${heldBytes} bytes, more than ${target.heldBytesMax}`) };
  return undefined;
}

/** CPU time of this thread: on a busy machine the wall clock tells of its other work. */
function cpuMs(): number {
  const { user, system } = process.threadCpuUsage();
  return (user + system) / 1000;
}

/** The input with all taken out that the failure does not need, within 300 tries. */
async function minimize(target: FuzzTarget, input: Uint8Array): Promise<Uint8Array> {
  let small = input;
  let tries = 300;
  for (let cut = small.length >> 1; cut >= 1; cut >>= 1)
    for (let at = 0; at < small.length && tries > 0; tries--) {
      const shorter = Uint8Array.from([...small.subarray(0, at), ...small.subarray(at + cut)]);
      if (await judge(target, shorter)) small = shorter;
      else at += cut;
    }
  return small;
}
