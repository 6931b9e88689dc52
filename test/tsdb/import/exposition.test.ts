import { expect, test } from "vitest";
import { ExpositionParser, type ExpositionFormat } from "../../../src/tsdb/import/exposition.ts";
import { linesOf } from "../../../src/tsdb/import/lines.ts";
import { formatLabelSet, type LabelSet } from "../../../src/tsdb/model/labels.ts";
import { Random, seedFromEnv } from "../../support/random.ts";

interface Parsed {
  readonly samples: string[];
  readonly exemplars: number;
  readonly seriesTexts: number;
}

/** Samples as `labels value time`. */
function parse(text: string, format: ExpositionFormat = "openmetrics"): Parsed {
  const series: LabelSet[] = [];
  const samples: string[] = [];
  const parser = new ExpositionParser(format, {
    series: (labels) => series.push(labels) - 1,
    sample: (number, timeMs, value) =>
      void samples.push(`${formatLabelSet(series[number]!)} ${Object.is(value, -0) ? "-0" : value} ${timeMs}`),
  });
  for (const [i, line] of text.split("\n").entries()) parser.line(line, i + 1);
  parser.end();
  return { samples, exemplars: parser.exemplars, seriesTexts: series.length };
}

test("OpenMetrics: labels, escapes, UTF-8 names, values, times in seconds, exemplars left out", () => {
  const { samples, exemplars, seriesTexts } = parse(
    [
      "# HELP http_requests Requests, all of them.",
      "# TYPE http_requests counter",
      "# UNIT http_requests requests",
      'http_requests_total{code="200",method="get"} 17 1732450000.5',
      'http_requests_total{method="get",code="200"} 18 1732450001 # {trace_id="a } b"} 1 1732450001',
      'http_requests_total{code="200",method="get"} 19 1732450002.0014',
      'text{v="a\\\\b\\"c\\nd } {",e=""} +Inf 0',
      '{"my.metric","a b"="π"} -0 -1.5',
      "plain NaN 1e3",
      "plain -inf 0.0006",
      'odd {a="b",} .5 7',
      "# EOF",
      "",
    ].join("\n"),
  );
  expect(samples).toEqual([
    'http_requests_total{code="200", method="get"} 17 1732450000500',
    'http_requests_total{code="200", method="get"} 18 1732450001000',
    'http_requests_total{code="200", method="get"} 19 1732450002001',
    'text{v="a\\\\b\\"c\\nd } {"} Infinity 0',
    '{"my.metric", "a b"="π"} -0 -1500',
    "plain NaN 1000000",
    "plain -Infinity 1",
    'odd{a="b"} 0.5 7000',
  ]);
  expect(exemplars).toBe(1);
  expect(seriesTexts, "a series is parsed once for each of its texts").toBe(6);
});

test("the text format: times in whole milliseconds, any comments, blank lines, no end needed", () => {
  const { samples } = parse('# a comment\n\nup{job="x"} 1 1732450000123\n  \nup{job="x"}\t0\t1732450000124\n', "text");
  expect(samples).toEqual(['up{job="x"} 1 1732450000123', 'up{job="x"} 0 1732450000124']);
});

test("times come to the nearest millisecond, whatever floating point makes of them", () => {
  const random = new Random(seedFromEnv());
  for (let i = 0; i < 2_000; i++) {
    const timeMs = random.between(-5_000_000_000_000, 5_000_000_000_000);
    const digits = String(Math.abs(timeMs)).padStart(4, "0");
    const text = `${timeMs < 0 ? "-" : ""}${digits.slice(0, -3)}.${digits.slice(-3)}`;
    expect(parse(`a 1 ${text}\n# EOF`).samples).toEqual([`a 1 ${timeMs}`]);
  }
});

test("what is wrong is told with line and column", () => {
  const om = (line: string): string => `# TYPE a gauge\n${line}\n# EOF`;
  const wrong: readonly [text: string, says: string, format?: ExpositionFormat][] = [
    [om("a 1"), "line 2, column 4: the sample has no time"],
    [om('a 1 # {x="y"} 1'), "line 2, column 5: the sample has no time"],
    [om("a one 1"), "line 2, column 3: expected a number, NaN, +Inf or -Inf"],
    [om("a 0x10 1"), "line 2, column 3: expected a number, NaN, +Inf or -Inf"],
    [om("a 1_000 1"), "line 2, column 3: expected a number, NaN, +Inf or -Inf"],
    [om("a 1 soon"), "line 2, column 5: expected a time in seconds since 1970"],
    [om("a 1 NaN"), "line 2, column 5: expected a time in seconds since 1970"],
    [om("a 1 1e300"), "line 2, column 5: the time is out of range"],
    [om("a 1 1 2"), "line 2, column 7: expected the end of the line"],
    [om("a 1 1\r"), "line 2, column 5: expected a time in seconds since 1970"],
    [om("a"), "line 2, column 2: expected a value"],
    [om("1a 1 1"), 'line 2, column 1: expected a metric name and labels, as in cpu{host="a"}'],
    [om('{a="b"} 1 1'), "line 2, column 1: the sample has no metric name"],
    [om('a{b="c" 1 1'), "line 2, column 9: expected , or }"],
    [om('a{b="c} 1 1'), 'line 2, column 5: expected the value of label "b" in double quotes'],
    [om('a{b="c",b="d"} 1 1'), 'line 2, column 9: label "b" is given twice'],
    [om('a{__name__="b"} 1 1'), "line 2, column 3: the metric is named twice"],
    [om('a{"b"} 1 1'), "line 2, column 3: the metric is named twice"],
    [om("a{b=c} 1 1"), 'line 2, column 5: expected the value of label "b" in double quotes'],
    [om('a{""="c"} 1 1'), "line 2, column 1: a label has no name"],
    [om("# comment"), "line 2, column 1: expected # HELP, # TYPE, # UNIT or # EOF: OpenMetrics has no other comments"],
    ["a 1 1\n\n# EOF", "line 2, column 1: a blank line, which OpenMetrics does not allow"],
    ["a 1 1\n# EOF\na 2 2", "line 3, column 1: something follows # EOF"],
    ["a 1 1", "The last line must be # EOF: the file is not whole"],
    ["a 1 1.5", "line 1, column 5: expected a time in whole milliseconds since 1970", "text"],
    ["a 1 99999999999999999999", "line 1, column 5: the time is out of range", "text"],
  ];
  for (const [text, says, format] of wrong) expect(() => parse(text, format), text).toThrow(says);
});

const inPieces = async (bytes: Uint8Array, pieceBytes: () => number) => {
  async function* pieces(): AsyncGenerator<Uint8Array> {
    for (let at = 0; at < bytes.length;) {
      const piece = bytes.subarray(at, at + pieceBytes());
      at += piece.length;
      yield piece;
    }
  }
  const lines = [];
  for await (const some of linesOf(pieces())) lines.push(...some);
  return lines;
};

test("lines are the same in whatever pieces they come", async () => {
  const random = new Random(seedFromEnv());
  const texts = Array.from({ length: 200 }, (_, i) => "é\u{1f600}x".repeat(random.below(6)) + String(i));
  for (const end of ["", "\n"]) {
    const bytes = Buffer.from(texts.join("\n") + end);
    const lines = await inPieces(bytes, () => random.between(1, 40));
    expect(lines.map(({ text }) => text)).toEqual(texts);
    expect(lines.map(({ number }) => number)).toEqual(texts.map((_, i) => i + 1));
  }
});

test("bytes that are not UTF-8, and lines without an end, are refused with their number", async () => {
  const bad = Buffer.concat([Buffer.from("a 1\nb 2\nc\n"), Buffer.of(0x61, 0xff, 0x0a), Buffer.from("d\n")]);
  await expect(inPieces(bad, () => 7)).rejects.toThrow("line 4: it is not UTF-8");
  await expect(inPieces(Buffer.from("a\xff", "latin1"), () => 100)).rejects.toThrow("line 1: it is not UTF-8");
  await expect(inPieces(Buffer.alloc(3_000_000, "x"), () => 65_536)).rejects.toThrow("line 1: it is longer than");
});
