/** The fuzzer finds what it is there to find, and says how to find it again. */
import { expect, test } from "vitest";
import { TsdbError } from "../../src/base/errors.ts";
import { fuzz, type FuzzTarget } from "./fuzz.ts";
import { mutate } from "./fuzz-mutate.ts";
import { Random } from "./random.ts";

const corpus = [Buffer.from('{"key": [1, 2, 3]}')];
const fuzzing = (run: FuzzTarget["run"], more: Partial<FuzzTarget> = {}): Promise<number> =>
  fuzz({ name: "test/support/fuzz", corpus, run, ...more });

test("the same seed gives the same input", () => {
  for (let seed = 0; seed < 200; seed++)
    expect(mutate({ corpus }, new Random(seed))).toEqual(mutate({ corpus }, new Random(seed)));
});

test("an error that is not typed is a failure, shown with its seed and a small input", async () => {
  const failure = fuzzing(
    (input) => {
      if (Buffer.from(input).includes("[[")) throw new RangeError("stack");
    },
    { dictionary: [Buffer.from("[")] },
  );
  await expect(failure).rejects.toThrow(
    /^stack\nrepeat with SEED=\d+ FUZZ_RUNS=1 npm test -- test\/support\/fuzz\nsmallest input found, 2 bytes: "\[\["/,
  );
});

test("refusals are fine, bugs that call themselves internal are not", async () => {
  const refuse = (code: "BAD_REQUEST" | "INTERNAL") => (): never => {
    throw new TsdbError(code, "no");
  };
  await expect(fuzzing(refuse("BAD_REQUEST"))).resolves.toBeGreaterThan(100);
  await expect(fuzzing(refuse("INTERNAL"))).rejects.toThrow("no\na seed of the corpus");
});

test("a slow run, a changed prototype and much memory are failures", async () => {
  const spin = (): void => {
    const cpuMs = () => process.threadCpuUsage().user / 1000;
    for (const end = cpuMs() + 120; cpuMs() < end;);
  };
  await expect(fuzzing(spin, { corpus: [new Uint8Array(1)] })).rejects.toThrow(/It took \d+ ms of CPU, three times/);
  const pollute = (): void => void Object.assign(Object.prototype, { polluted: true });
  await expect(fuzzing(pollute)).rejects.toThrow("It changed Object.prototype");
  delete (Object.prototype as { polluted?: boolean }).polluted;
  const hoard: Uint8Array[] = [];
  await expect(fuzzing(() => void hoard.push(new Uint8Array(2 ** 27)))).rejects.toThrow(/It allocated \d+ bytes/);
  await expect(fuzzing(() => {}, { heldBytes: () => 11, heldBytesMax: 10 })).rejects.toThrow("It holds 11 bytes");
});
