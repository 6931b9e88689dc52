import { expect, test } from "vitest";
import { loadKernelModule } from "../../../src/tsdb/kernel/load.ts";
import type { QueryBudget } from "../../../src/tsdb/promql/budget.ts";
import { KernelReader } from "../../../src/tsdb/promql/kernel-reader.ts";
import { PrivateMemory } from "../../../src/tsdb/kernel/private-memory.ts";
import { corpusFiles, corpusMissing } from "../../support/promql-corpus.ts";
import { runScript } from "../../support/promql-run.ts";

const memory = new PrivateMemory(loadKernelModule());
const makeReader = (budget: QueryBudget) => new KernelReader(memory, budget);

test.skipIf(corpusMissing !== undefined)(
  `Prometheus' corpus: what is supported answers as Prometheus does, the rest says what it lacks${corpusMissing === undefined ? "" : ` (${corpusMissing})`}`,
  async () => {
    const failures: string[] = [];
    const unsupported = new Map<string, number>();
    let passed = 0;
    for (const { name, text } of corpusFiles())
      for await (const { eval: command, outcome } of runScript(text, { makeReader })) {
        if (outcome.kind === "passed") passed++;
        else if (outcome.kind === "failed")
          failures.push(`${name}:${command.line} ${command.query}\n    ${outcome.why}`);
        else unsupported.set(outcome.feature, (unsupported.get(outcome.feature) ?? 0) + 1);
      }
    const counts = [...unsupported].sort(([, a], [, b]) => b - a);
    const total = counts.reduce((sum, [, count]) => sum + count, passed + failures.length);
    const list = counts.map(([feature, count]) => `${feature} ${count}`).join(", ");
    // oxlint-disable-next-line no-console -- how much of the language is supported is news in every run
    console.log(`${passed} of ${total} evals pass, ${failures.length} fail; not yet supported: ${list}`);
    expect(failures).toEqual([]);
  },
);
