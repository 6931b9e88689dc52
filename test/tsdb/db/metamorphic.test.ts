/**
 * One list of requests and deletions, many databases: with other sizes of segments and files, packed or not, flushed, merged,
 * cleaned, restarted and killed at other moments. All must give the same answers, to the last byte.
 *
 * SEED=n makes the list and the databases of that seed; METAMORPHIC_CONFIGS=n makes more of them.
 */
import { expect, test, vi } from "vitest";
import type { ModelDelete, ModelSample } from "../../support/database-model.ts";
import { DatabaseRun, type RunOptions, runSeries } from "../../support/database-run.ts";
import { bitsOf } from "../../support/database.ts";
import { Random, seedFromEnv } from "../../support/random.ts";
import { queryDatabase } from "../../support/read-database.ts";

// Seconds alone, more beside other tests.
vi.setConfig({ testTimeout: 600_000 });

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const SPAN_MS = 26 * HOUR_MS;
const START_MS = Date.UTC(2026, 0, 1, 0, 30);
const CONFIGS = Number(process.env["METAMORPHIC_CONFIGS"] ?? 20);

const SERIES = ["api", "db", "web"].flatMap((job) =>
  ["a", "b"].map((instance) =>
    runSeries([
      ["__name__", "requests_total"],
      ["instance", instance],
      ["job", job],
    ]),
  ),
);

const QUERIES = [
  "requests_total",
  "sum(rate(requests_total[30m]))",
  'sum by (job) (increase(requests_total{instance="a"}[1h]))',
  "max by (instance) (max_over_time(requests_total[2h]))",
  "count_over_time(requests_total[3h])",
  'avg without (instance) (requests_total{job=~"api|web"})',
  'changes(requests_total{job!="db"}[4h]) + resets(requests_total{job!="db"}[4h])',
];

type Operation =
  | { readonly kind: "write"; readonly samples: readonly ModelSample[] }
  | ({ readonly kind: "delete"; readonly selector: string } & ModelDelete);

/** What happens at each minute of the day, whatever the database is like. */
function operationsOf(random: Random): Map<number, Operation[]> {
  const operations = new Map<number, Operation[]>();
  const add = (timeMs: number, operation: Operation): void => {
    const minute = Math.floor((timeMs - START_MS) / MINUTE_MS);
    operations.set(minute, [...(operations.get(minute) ?? []), operation]);
  };
  for (const { key } of SERIES) {
    let value = random.below(1000);
    // Some come hours late, some have gaps, some restart their counters.
    const lateMs = random.pick([0, 0, 20 * MINUTE_MS, 5 * HOUR_MS]);
    for (let timeMs = START_MS; timeMs < START_MS + SPAN_MS - lateMs - MINUTE_MS;) {
      const samples: ModelSample[] = [];
      for (let count = random.between(1, 12); count > 0; count--, timeMs += random.between(20_000, 90_000)) {
        value = random.chance(0.01) ? 0 : value + random.below(100);
        samples.push({ key, timeMs, bits: bitsOf(value) });
      }
      add(samples.at(-1).timeMs + lateMs, { kind: "write", samples });
      if (random.chance(0.02)) timeMs += random.below(2 * HOUR_MS);
    }
  }
  for (let count = 0; count < 5; count++) {
    const mint = START_MS + random.below(SPAN_MS - 6 * HOUR_MS);
    const maxt = mint + random.below(3 * HOUR_MS);
    const job = random.pick(["api", "db", "web"]);
    const keys = SERIES.map(({ key }) => key).filter((key) => key.includes(job));
    add(maxt + random.below(3 * HOUR_MS), { kind: "delete", selector: `{job="${job}"}`, keys, mint, maxt });
  }
  return operations;
}

const optionsOf = (random: Random): Partial<RunOptions> => ({
  sync: random.pick(["always", "interval"]),
  segmentBytesMax: random.pick([2_000, 20_000, 2 ** 20]),
  chunkFileBytesMax: random.pick([2_000, 20_000, 2 ** 20]),
  packed: random.chance(0.5),
  compactionEnabled: random.chance(0.7),
  compactionIntervalMs: random.pick([MINUTE_MS, 5 * MINUTE_MS, HOUR_MS]),
});

/** A database lives through the day, with disturbances of its own, and answers the queries. */
async function answersOf(operations: ReadonlyMap<number, readonly Operation[]>, random: Random): Promise<string[]> {
  const run = new DatabaseRun({ series: SERIES, random, startMs: START_MS, options: optionsOf(random) });
  const disturbances = random.pick([0, 0.002, 0.01]);
  await run.open();
  for (let minute = 0; minute <= SPAN_MS / MINUTE_MS; minute++) {
    for (const operation of operations.get(minute) ?? []) {
      if (operation.kind === "write") await run.write(operation.samples);
      else await run.delete(operation.selector, operation);
    }
    await run.pass(MINUTE_MS, random.below(4));
    if (random.chance(disturbances)) await disturb(run, random);
  }
  await run.settle();
  run.check();
  const range = { startMs: START_MS, endMs: START_MS + SPAN_MS, stepMs: 7 * MINUTE_MS };
  const answers = queryDatabase(run.database, run.disk, QUERIES, range);
  await run.close();
  return answers;
}

async function disturb(run: DatabaseRun, random: Random): Promise<void> {
  switch (random.below(5)) {
    case 0:
      await run.compact();
      return;
    case 1:
      await run.cleanTombstones();
      return;
    case 2:
      return run.restart(optionsOf(random));
    case 3:
      return run.crash(undefined, optionsOf(random));
    default:
      return run.settle();
  }
}

test("the same requests give the same answers, however a database is set up and whatever it goes through", async () => {
  const seed = seedFromEnv();
  const random = new Random(seed);
  const operations = operationsOf(random);
  const expected = await answersOf(operations, random.fork());
  for (const [i, query] of QUERIES.entries())
    expect(expected[i]!.length, `${query} has an answer (SEED=${seed})`).toBeGreaterThan(1000);
  for (let config = 1; config < CONFIGS; config++) {
    const answers = await answersOf(operations, random.fork());
    for (const [i, query] of QUERIES.entries())
      expect(answers[i], `${query}, database ${config} of SEED=${seed}`).toBe(expected[i]);
  }
});
