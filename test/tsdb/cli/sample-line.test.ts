import fc from "fast-check";
import { expect, test } from "vitest";
import { parseSampleLine, SampleLineError } from "../../../src/tsdb/cli/sample-line.ts";

const labelsOf = (line: string) =>
  Object.fromEntries(parseSampleLine(line).labels.map(({ name, value }) => [name, value]));

test("a line is a series in exposition notation, a value and perhaps a timestamp in ms", () => {
  expect(parseSampleLine('cpu{host="a"} 0.85')).toEqual({
    labels: [
      { name: "__name__", value: "cpu" },
      { name: "host", value: "a" },
    ],
    value: 0.85,
    timestampMs: undefined,
  });
  expect(parseSampleLine("up 1 1732450000000").timestampMs).toBe(1_732_450_000_000);
  expect(labelsOf('  a:b_c { z = "1" , a="2", }\t1  ')).toEqual({ __name__: "a:b_c", z: "1", a: "2" });
  expect(labelsOf('{"http.requests", "a.b"="c"} 1')).toEqual({ __name__: "http.requests", "a.b": "c" });
  expect(labelsOf('{__name__="cpu"} 1')).toEqual({ __name__: "cpu" });
  expect(labelsOf('cpu{x="a } , \\" \\\\ \\n \\d"} 1')).toEqual({ __name__: "cpu", x: 'a } , " \\ \n \\d' });
});

test("labels come out sorted by name", () => {
  expect(parseSampleLine('m{b="1",a="2",Z="3"} 1').labels.map(({ name }) => name)).toEqual(["Z", "__name__", "a", "b"]);
});

test("each mistake is told with its column", () => {
  const mistakes: readonly (readonly [string, number, string])[] = [
    ["", 1, 'expected a metric name, as in cpu{host="a"} 0.85'],
    ["{} 1", 1, 'expected a metric name, as in cpu{host="a"} 0.85'],
    ["cpu", 4, "expected a value after the series"],
    ["cpu one", 5, "expected a number, NaN, +Inf or -Inf"],
    ["cpu 1 now", 7, "expected a timestamp in whole milliseconds since 1970"],
    ["cpu 1 1.5", 7, "expected a timestamp in whole milliseconds since 1970"],
    ["cpu 1 2 3", 9, "expected the end of the line"],
    ["cpu{host=a} 1", 10, 'expected the value of label "host" in double quotes'],
    ["cpu{host='a'} 1", 10, 'expected the value of label "host" in double quotes'],
    ["cpu{host} 1", 9, 'expected = and a value after label "host"'],
    ['cpu{host="a" 1', 14, "expected , or }"],
    ['cpu{host="a"', 13, "expected , or }"],
    ['cpu{1="a"} 1', 5, 'expected a label such as host="a", or }'],
    ['cpu{a="1",a="2"} 1', 11, 'label "a" is given twice'],
    ['cpu{__name__="x"} 1', 5, "the metric is named twice"],
    ["cpu-usage 1", 4, "expected a number, NaN, +Inf or -Inf"],
  ];
  for (const [line, column, message] of mistakes) {
    let told: unknown;
    try {
      parseSampleLine(line);
    } catch (thrown) {
      told = thrown;
    }
    expect([line, told instanceof SampleLineError && told.column, told instanceof Error && told.message]).toEqual([
      line,
      column,
      message,
    ]);
  }
});

test("any label value survives being written with its escapes", () => {
  const escaped = (text: string) => text.replaceAll("\\", "\\\\").replaceAll('"', '\\"').replaceAll("\n", "\\n");
  fc.assert(
    fc.property(fc.string({ unit: "grapheme" }), (value) => labelsOf(`m{a="${escaped(value)}"} 1`)["a"] === value),
  );
});
