import { expect, test } from "vitest";
import { RequestParameters, parseDuration, parseTime, unescapeLabelName } from "../../../src/tsdb/http/params.ts";

test("times are seconds with fraction or RFC 3339, rounded to ms as Prometheus does", () => {
  const cases: [string, number][] = [
    ["0", 0],
    ["1435781430", 1_435_781_430_000],
    ["1435781430.781", 1_435_781_430_781],
    ["1435781430.7815", 1_435_781_430_782],
    ["-1.5", -1500],
    ["1e3", 1_000_000],
    ["1700000000123", 1_700_000_000_123_000], // Grafana's probe: ms where seconds belong
    ["2015-07-01T20:10:51.781Z", 1_435_781_451_781],
    ["2015-07-01T20:10:51.7819999Z", 1_435_781_451_781],
    ["2015-07-01T20:10:51+02:00", 1_435_774_251_000],
    ["2024-02-29T23:59:59-00:30", 1_709_252_999_000],
    ["1e300", Number.MAX_SAFE_INTEGER],
    ["-1e300", Number.MIN_SAFE_INTEGER],
  ];
  for (const [text, ms] of cases) expect(parseTime(text), text).toBe(ms);
});

test("what is no time is refused", () => {
  for (const text of [
    "",
    "foo",
    "30s",
    "2015-07-01",
    "2015-02-30T00:00:00Z",
    "2015-07-01T24:00:00Z",
    "2015-07-01 20:10:51Z",
    "1_0",
    "0x10",
    "NaN",
    "Inf",
  ])
    expect(() => parseTime(text), text).toThrow(`cannot parse ${JSON.stringify(text)} to a valid timestamp`);
});

test("durations are seconds with fraction or PromQL's units from large to small", () => {
  const cases: [string, number][] = [
    ["1", 1000],
    ["0.5", 500],
    ["123.456", 123_456],
    ["5m", 300_000],
    ["1h30m", 5_400_000],
    ["1y1w1d1h1m1s1ms", 31_536_000_000 + 604_800_000 + 86_400_000 + 3_661_001],
    ["0", 0],
    ["-2", -2000],
  ];
  for (const [text, ms] of cases) expect(parseDuration(text), text).toBe(ms);
  for (const text of ["", "foo", "1m1h", "1.5m", "5 m", "-5m", "1m1m"])
    expect(() => parseDuration(text), text).toThrow(`cannot parse ${JSON.stringify(text)} to a valid duration`);
  expect(() => parseDuration("1e300")).toThrow("It overflows int64");
});

test("label names in paths are unescaped only when they are well-formed escapes", () => {
  const cases: [string, string][] = [
    ["plain", "plain"],
    ["U__http_2e_status", "http.status"],
    ["U__a__b", "a_b"],
    ["U___1f600_", "😀"],
    ["U__broken_2e", "U__broken_2e"],
    ["U__broken_", "U__broken_"],
    ["U___d800_", "U___d800_"],
    ["U___110000_", "U___110000_"],
    ["U___zz_", "U___zz_"],
  ];
  for (const [escaped, plain] of cases) expect(unescapeLabelName(escaped), escaped).toBe(plain);
});

test("the form comes before the query string, and repeated names keep all their values", () => {
  const params = new RequestParameters("/x?match[]=a&match[]=b&limit=1&query=url", "match%5B%5D=c&query=form%2B1");
  expect(params.values("match[]")).toEqual(["c", "a", "b"]);
  expect(params.value("query")).toBe("form+1");
  expect(params.value("limit")).toBe("1");
  expect(params.value("nothing")).toBe("");
});

test("a bad value is refused with the parameter's name, in Prometheus' words", () => {
  const cases: [(params: RequestParameters) => unknown, string, string][] = [
    [(p) => p.time("start"), "", 'invalid parameter "start": cannot parse "" to a valid timestamp'],
    [
      (p) => p.timeOr("time", 0),
      "time=x",
      `invalid parameter "time": invalid time value for 'time': cannot parse "x" to a valid timestamp`,
    ],
    [(p) => p.duration("step"), "step=x", 'invalid parameter "step": cannot parse "x" to a valid duration'],
    [(p) => p.limit(), "limit=-1", 'invalid parameter "limit": limit must be non-negative'],
    [(p) => p.limit(), "limit=x", 'invalid parameter "limit": strconv.Atoi: parsing "x": invalid syntax'],
    [(p) => p.timeout(1000), "timeout=-90", 'invalid parameter "timeout": timeout must be positive, got -1m30s'],
    [(p) => p.timeout(1000), "timeout=0", 'invalid parameter "timeout": timeout must be positive, got 0s'],
    [
      (p) => p.lookbackDelta(),
      "lookback_delta=x",
      'error parsing lookback delta duration: cannot parse "x" to a valid duration',
    ],
  ];
  for (const [read, query, message] of cases)
    expect(() => read(new RequestParameters(`/x?${query}`, undefined))).toThrow(message);
  expect(new RequestParameters("/x?timeout=5m", undefined).timeout(1000)).toBe(1000);
});
