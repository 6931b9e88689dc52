import { expect, test } from "vitest";
import { plainText, valueText } from "../../../src/tsdb/promql/number-text.ts";
import { renderJson, secondsText } from "../../../src/tsdb/promql/result-json.ts";
import type { QueryResult, QueryValue } from "../../../src/tsdb/promql/result.ts";
import { STALE, labelSet } from "../../support/fake-storage.ts";

const body = (value: QueryValue, annotations: Partial<QueryResult> = {}): string =>
  Buffer.concat([...renderJson({ value, warnings: [], infos: [], ...annotations })]).toString();

interface Answer {
  readonly data: { readonly result: readonly { readonly values: readonly unknown[] }[] };
  readonly warnings?: readonly string[];
  readonly infos?: readonly string[];
}

const parse = (text: string): Answer => JSON.parse(text) as Answer;

test("values are printed as Go prints them", () => {
  for (const [value, text] of [
    [0, "0"],
    [-0, "-0"],
    [1.5, "1.5"],
    [-3, "-3"],
    [1e-6, "0.000001"],
    [9.5e-7, "9.5e-07"],
    [-1e-7, "-1e-07"],
    [5e-324, "5e-324"],
    [123456789012345680000, "123456789012345680000"],
    [1e21, "1e+21"],
    [-1.7976931348623157e308, "-1.7976931348623157e+308"],
    [Infinity, "+Inf"],
    [-Infinity, "-Inf"],
    [NaN, "NaN"],
  ] as const)
    expect(valueText(value)).toBe(text);
});

test("a scalar result never has an exponent", () => {
  for (const [value, text] of [
    [1e21, "1000000000000000000000"],
    [-1.25e-8, "-0.0000000125"],
    [1.5, "1.5"],
    [NaN, "NaN"],
  ] as const)
    expect(plainText(value)).toBe(text);
});

test("timestamps are seconds, with three decimals when they are not whole", () => {
  for (const [timeMs, text] of [
    [0, "0"],
    [1000, "1"],
    [1435781451781, "1435781451.781"],
    [2500, "2.500"],
    [-1, "-0.001"],
  ] as const)
    expect(secondsText(timeMs)).toBe(text);
});

test("a matrix leaves out absent cells, and resultType comes before the result", () => {
  const times = Float64Array.of(0, 1500, 3000);
  const values = Float64Array.of(1, 0, NaN);
  values.set(STALE, 1);
  const labels = labelSet({ __name__: "x", a: 'quote " and \\ and \n and ü' });
  expect(body({ type: "matrix", series: [{ labels, times, values }] })).toBe(
    '{"status":"success","data":{"resultType":"matrix","result":[{"metric":{"__name__":"x",' +
      '"a":"quote \\" and \\\\ and \\n and ü"},"values":[[0,"1"],[3,"NaN"]]}]}}',
  );
});

test("empty results are empty arrays", () => {
  expect(body({ type: "matrix", series: [] })).toContain('"resultType":"matrix","result":[]}');
  expect(body({ type: "vector", timeMs: 0, labels: [], values: new Float64Array(0) })).toContain(
    '"resultType":"vector","result":[]}',
  );
});

test("vectors, scalars and strings have Prometheus' shapes", () => {
  const labels = [labelSet({ a: "1" }), []];
  expect(parse(body({ type: "vector", timeMs: 1500, labels, values: Float64Array.of(7, 0.5) })).data.result).toEqual([
    { metric: { a: "1" }, value: [1.5, "7"] },
    { metric: {}, value: [1.5, "0.5"] },
  ]);
  expect(body({ type: "scalar", timeMs: 1500, value: 2 })).toContain('"result":[1.5,"2"]');
  expect(body({ type: "string", timeMs: 1000, value: 'a"b' })).toContain('"result":[1,"a\\"b"]');
});

test("at most ten warnings and ten infos are shown, and the rest counted", () => {
  const infos = Array.from({ length: 12 }, (_, i) => `info ${i}`);
  const answer = parse(body({ type: "scalar", timeMs: 0, value: 1 }, { warnings: ["one"], infos }));
  expect(answer.warnings).toEqual(["one"]);
  expect(answer.infos).toEqual([...infos.slice(0, 10), "2 more info annotations omitted"]);
});

test("a large result comes in pieces that make up one document", () => {
  const times = Float64Array.from({ length: 20_000 }, (_, i) => i * 1000);
  const pieces = [
    ...renderJson({
      value: { type: "matrix", series: [{ labels: [], times, values: times }] },
      warnings: [],
      infos: [],
    }),
  ];
  expect(pieces.length).toBeGreaterThan(3);
  for (const piece of pieces) expect(piece.byteLength).toBeLessThan(128 * 1024);
  expect(parse(Buffer.concat(pieces).toString()).data.result[0]?.values).toHaveLength(20_000);
});
