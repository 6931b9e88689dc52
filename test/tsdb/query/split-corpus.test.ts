/**
 * An answer must not depend on where samples lie: Prometheus' corpus, asked of data that is spread at random over blocks and
 * the head, with what must not be seen strewn in.
 */
import { expect, test } from "vitest";
import { loadKernelModule } from "../../../src/tsdb/kernel/load.ts";
import { PrivateMemory } from "../../../src/tsdb/kernel/private-memory.ts";
import type { QueryBudget } from "../../../src/tsdb/promql/budget.ts";
import { KernelReader } from "../../../src/tsdb/promql/kernel-reader.ts";
import { corpusFiles, corpusMissing } from "../../support/promql-corpus.ts";
import { runScript } from "../../support/promql-run.ts";
import { Random, seedFromEnv } from "../../support/random.ts";
import { splitStorage } from "../../support/split-storage.ts";

/** Those that read most, and in most ways; the others are about the language. */
const FILES = ["at_modifier", "functions", "range_queries", "selectors", "staleness"];

const memory = new PrivateMemory(loadKernelModule());
const makeReader = (budget: QueryBudget) => new KernelReader(memory, budget);

for (const { name, text } of corpusFiles().filter((file) => FILES.includes(file.name.replace(".test", ""))))
  test(`${name} answers the same over blocks and head as over one storage`, async () => {
    const seed = seedFromEnv();
    const random = new Random(seed);
    const failures: string[] = [];
    let passed = 0;
    const makeStorage = (series: Parameters<typeof splitStorage>[0]) => splitStorage(series, random.fork());
    for await (const { eval: command, outcome } of runScript(text, { makeReader, makeStorage })) {
      if (outcome.kind === "passed") passed++;
      if (outcome.kind === "failed") failures.push(`${name}:${command.line} ${command.query}\n    ${outcome.why}`);
    }
    expect(failures, `SEED=${seed}`).toEqual([]);
    expect(passed).toBeGreaterThan(5);
  });

test.skipIf(corpusMissing !== undefined)(
  `the corpus is there${corpusMissing === undefined ? "" : ` (${corpusMissing})`}`,
  () => {
    expect(corpusFiles().length).toBeGreaterThan(FILES.length);
  },
);
