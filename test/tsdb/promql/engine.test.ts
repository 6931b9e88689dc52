import fc from "fast-check";
import { beforeAll, describe, expect, test } from "vitest";
import { systemClock } from "../../../src/base/clock.ts";
import { loadKernelModule } from "../../../src/tsdb/kernel/load.ts";
import { DEFAULT_LIMITS, QueryBudget } from "../../../src/tsdb/promql/budget.ts";
import type { QueryLimits } from "../../../src/tsdb/promql/budget.ts";
import { executeInstant, executeRange } from "../../../src/tsdb/promql/engine.ts";
import type { InstantQuery, QueryEnvironment, RangeQuery } from "../../../src/tsdb/promql/engine.ts";
import { KernelReader } from "../../../src/tsdb/promql/kernel-reader.ts";
import type { SampleReader } from "../../../src/tsdb/promql/operators/sample-reader.ts";
import { PrivateMemory } from "../../../src/tsdb/kernel/private-memory.ts";
import { renderJson } from "../../../src/tsdb/promql/result-json.ts";
import { FakeStorage, STALE, labelSet, regular } from "../../support/fake-storage.ts";
import type { Cuts, FakeSeries } from "../../support/fake-storage.ts";
import { OracleReader } from "../../support/sample-oracle.ts";

interface Setting {
  readonly cuts?: Cuts;
  readonly limits?: Partial<QueryLimits>;
  readonly abort?: Int32Array;
  readonly delayedNameRemoval?: boolean;
}

const memory = new PrivateMemory(loadKernelModule());

/** Every test runs with the samples read by the kernel, and by its slow twin. */
const READERS: readonly { readonly name: string; readonly make: (budget: QueryBudget) => SampleReader }[] = [
  { name: "kernel", make: (budget) => new KernelReader(memory, budget) },
  { name: "twin", make: () => new OracleReader() },
];
let makeReader = READERS[0]!.make;

function environment(
  series: readonly FakeSeries[],
  { cuts, limits, abort, delayedNameRemoval = false }: Setting = {},
): QueryEnvironment {
  const budget = new QueryBudget({ ...DEFAULT_LIMITS, ...limits }, systemClock, abort);
  return { storage: new FakeStorage(series, cuts), samples: makeReader(budget), budget, delayedNameRemoval };
}

interface Answer {
  readonly data: { readonly resultType: string; readonly result: readonly Sample[] };
  readonly warnings?: readonly string[];
  readonly infos?: readonly string[];
}

interface Sample {
  readonly metric: Readonly<Record<string, string>>;
  readonly value: readonly [number, string];
  readonly values: readonly (readonly [number, string])[];
}

const parsed = (pieces: Iterable<Uint8Array>): Answer => JSON.parse(Buffer.concat([...pieces]).toString()) as Answer;

const instant = (
  query: string,
  series: readonly FakeSeries[],
  timeMs: number,
  setting: Setting & Partial<InstantQuery> = {},
) => parsed(renderJson(executeInstant({ query, timeMs, ...setting }, environment(series, setting))));

const range = (query: string, series: readonly FakeSeries[], steps: Omit<RangeQuery, "query">, setting: Setting = {}) =>
  parsed(renderJson(executeRange({ query, ...steps }, environment(series, setting))));

/** "labels value" of each sample of an instant vector. */
const vectorOf = (query: string, series: readonly FakeSeries[], timeMs: number, setting: Setting = {}): string[] =>
  instant(query, series, timeMs, setting).data.result.map(
    ({ metric, value }) =>
      `${Object.entries(metric)
        .map((pair) => pair.join("="))
        .join(",")} ${value[1]}`,
  );

const MINUTE = 60_000;
const REQUESTS = [
  regular(
    "requests_total",
    { job: "a", i: "1" },
    15_000,
    Array.from({ length: 41 }, (_, k) => k * 15),
  ),
  regular(
    "requests_total",
    { job: "a", i: "2" },
    15_000,
    Array.from({ length: 41 }, (_, k) => k * 30),
  ),
  regular(
    "requests_total",
    { job: "b", i: "1" },
    15_000,
    Array.from({ length: 41 }, (_, k) => (k % 20) * 15),
  ),
];

describe.each(READERS)("with samples read by the $name:", ({ make }) => {
  beforeAll(() => void (makeReader = make));

  test("a sum of rates by a label", () => {
    expect(vectorOf("sum by (job) (rate(requests_total[5m]))", REQUESTS, 10 * MINUTE)).toEqual([
      "job=a 2.9999999999999996",
      "job=b 0.9473684210526315",
    ]);
  });

  test("a selector answers the newest sample in the lookback window, whose start is exclusive", () => {
    const series = [regular("x", {}, 1000, [1, 2, 3])];
    for (const [timeMs, value] of [
      [2000, "3"],
      [1999, "2"],
      [2000 + 5 * MINUTE - 1, "3"],
    ] as const)
      expect(vectorOf("x", series, timeMs)).toEqual([`__name__=x ${value}`]);
    expect(vectorOf("x", series, 2000 + 5 * MINUTE)).toEqual([]);
    expect(vectorOf("x", series, -1)).toEqual([]);
  });

  test("a stale marker ends a series until its next sample", () => {
    const values = Float64Array.of(1, 0, 3);
    values.set(STALE, 1);
    const series = [{ labels: labelSet({ __name__: "x" }), times: [0, 1000, 2000], values }];
    expect(vectorOf("x", series, 1500)).toEqual([]);
    expect(vectorOf("x", series, 2500)).toEqual(["__name__=x 3"]);
    expect(vectorOf("count_over_time(x[1m])", series, 2500)).toEqual([" 2"]);
  });

  test("offset and @ move the time that is read", () => {
    const series = [regular("x", {}, 1000, [1, 2, 3, 4, 5])];
    for (const [query, value] of [
      ["x offset 2s", "3"],
      ["x offset -1s", "5"],
      ["x @ 1", "2"],
      ["x @ 1 offset 1s", "1"],
      ["x @ end()", "5"],
      ["sum_over_time(x[2s] @ 2)", "5"],
    ] as const)
      expect(
        vectorOf(query, series, 4000 - (query.includes("-1s") ? 1000 : 0)).map((text) => text.split(" ")[1]),
      ).toEqual([value]);
  });

  test("a range query answers each step, ordered by labels, and keeps gaps", () => {
    const series = [regular("x", { a: "2" }, 60_000, [1, 2]), regular("x", { a: "10" }, 60_000, [5])];
    const answer = range("x", series, { startMs: 0, endMs: 8 * MINUTE, stepMs: 4 * MINUTE });
    expect(answer.data).toEqual({
      resultType: "matrix",
      result: [
        {
          metric: { __name__: "x", a: "10" },
          values: [
            [0, "5"],
            [240, "5"],
          ],
        },
        {
          metric: { __name__: "x", a: "2" },
          values: [
            [0, "1"],
            [240, "2"],
          ],
        },
      ],
    });
  });

  test("timestamp answers the time of the sample, or of the step for anything computed", () => {
    const series = [regular("x", {}, 1000, [1, 2])];
    expect(vectorOf("timestamp(x)", series, 5000)).toEqual([" 1"]);
    expect(vectorOf("timestamp(x + 1)", series, 5000)).toEqual([" 5"]);
  });

  test("scalars, strings and range selectors are answers too", () => {
    const series = [regular("x", {}, 1000, [1, 2])];
    expect(instant("1 + time()", [], 2500).data).toEqual({ resultType: "scalar", result: [2.5, "3.5"] });
    expect(instant('"hi"', [], 0).data).toEqual({ resultType: "string", result: [0, "hi"] });
    expect(instant("x[1m]", series, 2500).data.result).toEqual([
      {
        metric: { __name__: "x" },
        values: [
          [0, "1"],
          [1, "2"],
        ],
      },
    ]);
    expect(range("1", [], { startMs: 0, endMs: 2000, stepMs: 1000 }).data.result).toEqual([
      {
        metric: {},
        values: [
          [0, "1"],
          [1, "1"],
          [2, "1"],
        ],
      },
    ]);
    expect(() => range("x[1m]", series, { startMs: 0, endMs: 1, stepMs: 1 })).toThrow(
      'invalid expression type "range vector" for range query, must be Scalar or instant Vector',
    );
  });

  test("rate of what is not named like a counter says so, once, where it stands", () => {
    const series = [regular("x", { a: "1" }, 15_000, [1, 2, 3]), regular("x", { a: "2" }, 15_000, [1, 2, 3])];
    expect(instant("1 +\n rate(x[1m])", series, 45_000).infos).toEqual([
      'PromQL info: metric might not be a counter, name does not end in _total/_sum/_count/_bucket: "x" (2:7)',
    ]);
    expect(instant("rate(requests_total[1m])", REQUESTS, 45_000).infos).toBeUndefined();
    expect(instant("rate(nothing[1m])", series, 45_000).infos).toBeUndefined();
  });

  test("a quantile out of range is answered with infinity and a warning", () => {
    const answer = instant("quantile(1.5, x)", [regular("x", {}, 1000, [1])], 0);
    expect(answer.data.result[0]?.value[1]).toBe("+Inf");
    expect(answer.warnings).toEqual(["PromQL warning: quantile value should be between 0 and 1, got 1.5 (1:10)"]);
  });

  test("a limit truncates series with a warning", () => {
    const answer = instant("requests_total", REQUESTS, MINUTE, { limit: 2 });
    expect(answer.data.result).toHaveLength(2);
    expect(answer.warnings).toEqual(["results truncated due to limit"]);
  });

  test("a metric that was renamed is one series; two at once are refused", () => {
    const apart = [
      regular(
        "a_total",
        {},
        15_000,
        Array.from({ length: 9 }, (_, k) => k),
      ),
      {
        ...regular(
          "b_total",
          {},
          15_000,
          Array.from({ length: 9 }, (_, k) => k),
        ),
        times: Array.from({ length: 9 }, (_, k) => 600_000 + k * 15_000),
      },
    ];
    const query = 'rate({__name__=~"._total"}[1m])';
    expect(range(query, apart, { startMs: 0, endMs: 900_000, stepMs: 60_000 }).data.result).toHaveLength(1);
    const together = [
      apart[0]!,
      regular(
        "b_total",
        {},
        15_000,
        Array.from({ length: 9 }, (_, k) => k),
      ),
    ];
    expect(() => instant(query, together, 60_000)).toThrow("vector cannot contain metrics with the same labelset");
  });

  test("under delayed name removal the name can still be grouped by", () => {
    const series = [regular("a_total", {}, 15_000, [0, 15, 30]), regular("b_total", {}, 15_000, [0, 30, 60])];
    const query = 'sum by (__name__) (rate({__name__=~"._total"}[1m]))';
    expect(() => instant(query, series, 30_000)).toThrow("vector cannot contain metrics with the same labelset");
    expect(() => instant(query, series, 30_000, { delayedNameRemoval: true })).toThrow("same labelset");
    expect(
      vectorOf('count by (__name__) (last_over_time({__name__=~"._total"}[1m]))', series, 30_000, {
        delayedNameRemoval: true,
      }),
    ).toEqual(["__name__=a_total 1", "__name__=b_total 1"]);
  });

  test("limits stop a query with Prometheus' words", () => {
    expect(() => instant("requests_total", REQUESTS, MINUTE, { limits: { seriesMax: 2 } })).toThrow(
      expect.objectContaining({
        code: "QUERY_LIMIT",
        message: "query would load too many series into memory in query execution",
      }),
    );
    expect(() => instant("requests_total", REQUESTS, MINUTE, { limits: { samplesMax: 2 } })).toThrow(
      expect.objectContaining({
        code: "QUERY_LIMIT",
        message: "query processing would load too many samples into memory in query execution",
      }),
    );
    expect(() => instant("requests_total", REQUESTS, MINUTE, { limits: { timeoutMs: -1 } })).toThrow(
      expect.objectContaining({ code: "QUERY_TIMEOUT" }),
    );
    const abort = new Int32Array(new SharedArrayBuffer(4)).fill(1);
    expect(() => instant("requests_total", REQUESTS, MINUTE, { abort })).toThrow(
      expect.objectContaining({ code: "QUERY_CANCELED" }),
    );
  });

  const QUERIES = [
    "x",
    "x offset 7s",
    "x @ 30",
    "-x",
    "abs(x) % 3",
    "x > 2",
    "x >= bool 2",
    "2 ^ x",
    "timestamp(x)",
    ...["rate", "irate", "increase", "delta", "idelta", "changes", "resets", "deriv"].map((name) => `${name}(x[30s])`),
    ...["sum", "avg", "min", "max", "count", "first", "last", "present", "stddev", "stdvar"].map(
      (name) => `${name}_over_time(x[30s])`,
    ),
    "quantile_over_time(0.3, x[30s])",
    ...["sum", "avg", "min", "max", "count", "group", "stddev", "stdvar"].map((name) => `${name} by (a) (x)`),
    "quantile without (b) (0.5, x)",
    "topk by (a) (1, x)",
    "bottomk(2, x)",
    'x{b="1"} / on (a) x{b="2"}',
    "x - x offset 10s",
    "scalar(sum(x)) + vector(1)",
  ];

  const anySeries: fc.Arbitrary<FakeSeries[]> = fc
    .uniqueArray(fc.tuple(fc.constantFrom("1", "2", "3"), fc.constantFrom("1", "2", "3")), {
      maxLength: 6,
      selector: String,
    })
    .chain((labels) =>
      fc.tuple(
        ...labels.map(([a, b]) =>
          fc
            .array(
              fc.tuple(
                fc.integer({ min: 1, max: 20_000 }),
                fc.oneof(fc.integer({ min: -3, max: 9 }), fc.constantFrom(NaN, Infinity, "stale" as const)),
              ),
              { maxLength: 40 },
            )
            .map((samples): FakeSeries => {
              let time = 0;
              const values = new Float64Array(samples.length);
              samples.forEach(([, value], i) => values.set(value === "stale" ? STALE : [value], i));
              return {
                labels: labelSet({ __name__: "x", a, b }),
                times: samples.map(([gap]) => (time += gap)),
                values,
              };
            }),
        ),
      ),
    );

  const anyCuts: fc.Arbitrary<Cuts> = fc.record({
    chunkSamples: fc.array(fc.integer({ min: 1, max: 30 }), { minLength: 1, maxLength: 5 }),
    batchSeries: fc.array(fc.integer({ min: 1, max: 5 }), { minLength: 1, maxLength: 5 }),
  });

  test("an answer depends neither on how samples are cut into chunks and batches, nor on series without samples", () => {
    fc.assert(
      fc.property(anySeries, anyCuts, fc.constantFrom(...QUERIES), (series, cuts, query) => {
        const steps = { startMs: 10_000, endMs: 200_000, stepMs: 13_000 };
        const answer = (given: readonly FakeSeries[], setting: Setting) => {
          try {
            return range(query, given, steps, setting);
          } catch (error) {
            return String(error);
          }
        };
        const empty = { labels: labelSet({ __name__: "x", a: "9", b: "9" }), times: [], values: new Float64Array(0) };
        expect(answer([...series, empty], { cuts })).toEqual(answer(series, {}));
      }),
      { numRuns: 300 },
    );
  });

  test("a step of a range query is the instant query at that time", () => {
    fc.assert(
      fc.property(anySeries, fc.constantFrom(...QUERIES), (series, query) => {
        const timeMs = 62_000;
        const attempt = <T>(run: () => T) => {
          try {
            return run();
          } catch (error) {
            return String(error);
          }
        };
        const inRange = attempt(() =>
          range(query, series, { startMs: timeMs, endMs: timeMs, stepMs: 1000 }).data.result.map(
            ({ metric, values }) => ({ metric, value: values[0] }),
          ),
        );
        const alone = attempt(() => instant(query, series, timeMs).data.result);
        const sorted = (result: unknown) =>
          Array.isArray(result) ? result.map((row) => JSON.stringify(row)).sort() : result;
        expect(sorted(inRange)).toEqual(sorted(alone));
      }),
      { numRuns: 300 },
    );
  });
});
