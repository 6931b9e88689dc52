import { expect, test } from "vitest";
import { systemClock } from "../../../src/base/clock.ts";
import { METRIC_NAME } from "../../../src/tsdb/model/labels.ts";
import type { Matcher } from "../../../src/tsdb/model/matcher.ts";
import { DEFAULT_LIMITS, QueryBudget } from "../../../src/tsdb/promql/budget.ts";
import { labelNames, labelValues, series } from "../../../src/tsdb/query/metadata.ts";
import type { MetadataQuery } from "../../../src/tsdb/query/metadata.ts";
import { FakeStorage, regular } from "../../support/fake-storage.ts";

const storage = new FakeStorage([
  regular("up", { job: "b", instance: "2" }, 1000, [1, 1]),
  regular("up", { job: "a" }, 1000, [1, 1]),
  regular("down", { job: "a", ["__proto__"]: "x", 7: "seven" }, 1000, [1, 1]),
]);
const named = (name: string): Matcher[] => [{ type: "=", name: METRIC_NAME, value: name }];
const all: MetadataQuery = { selectors: [], startMs: 0, endMs: 10_000, limit: 0 };
const budget = () => new QueryBudget(DEFAULT_LIMITS, systemClock);
const textOf = (pieces: Iterable<Uint8Array>) => Buffer.concat([...pieces]).toString();

test("series are printed once each, in order, with their labels in order", () => {
  const both = { ...all, selectors: [named("up"), [{ type: "=", name: "job", value: "a" } as const]] };
  expect(textOf(series(storage, budget(), both))).toBe(
    '{"status":"success","data":[' +
      '{"7":"seven","__name__":"down","__proto__":"x","job":"a"},' +
      '{"__name__":"up","instance":"2","job":"b"},' +
      '{"__name__":"up","job":"a"}]}',
  );
  expect(textOf(series(storage, budget(), { ...all, selectors: [named("nothing")] }))).toBe(
    '{"status":"success","data":[]}',
  );
});

test("names and values are the union over the selectors, all of them without any", () => {
  const union = { ...all, selectors: [named("up"), named("down")] };
  expect(textOf(labelNames(storage, budget(), all))).toBe(
    '{"status":"success","data":["7","__name__","__proto__","instance","job"]}',
  );
  expect(textOf(labelNames(storage, budget(), { ...all, selectors: [named("up")] }))).toBe(
    '{"status":"success","data":["__name__","instance","job"]}',
  );
  expect(textOf(labelValues(storage, budget(), "job", union))).toBe('{"status":"success","data":["a","b"]}');
  expect(textOf(labelValues(storage, budget(), "none", all))).toBe('{"status":"success","data":[]}');
});

test("a limit cuts the answer and says so, one that is not reached does not", () => {
  const answer = (limit: number) => textOf(labelNames(storage, budget(), { ...all, limit }));
  expect(answer(2)).toBe('{"status":"success","data":["7","__name__"],"warnings":["results truncated due to limit"]}');
  expect(answer(5)).not.toContain("warnings");
});

test("a long answer comes in pieces that make one JSON text", () => {
  const values = Array.from({ length: 20_000 }, (_, i) => `value-${String(i).padStart(6, "0")}`);
  const large = new FakeStorage(values.map((value) => regular("m", { v: value }, 1000, [1])));
  const pieces = [...labelValues(large, budget(), "v", all)];
  expect(pieces.length).toBeGreaterThan(3);
  expect(JSON.parse(textOf(pieces))).toEqual({ status: "success", data: values });
});
