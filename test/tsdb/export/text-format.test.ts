import { expect, test } from "vitest";
import { csv, openMetrics, secondsText } from "../../../src/tsdb/export/text-format.ts";
import { ExpositionParser } from "../../../src/tsdb/import/exposition.ts";
import type { LabelSet } from "../../../src/tsdb/model/labels.ts";
import { bitsOf } from "../../support/database.ts";
import { Random, seedFromEnv } from "../../support/random.ts";

const odd: LabelSet = [
  ["__name__", "my.metric"],
  ["a b", 'quo"te'],
  ["host", "line\nbreak\\"],
];

test("series are written as OpenMetrics has them, names that need it in quotes", () => {
  const plain: LabelSet = [
    ["__name__", "cpu"],
    ["host", "a"],
    ["zone", "b"],
  ];
  expect(openMetrics.series(plain)).toBe('cpu{host="a",zone="b"}');
  expect(openMetrics.series([["__name__", "up"]])).toBe("up");
  expect(openMetrics.series(odd)).toBe('{"my.metric","a b"="quo\\"te",host="line\\nbreak\\\\"}');
  expect(csv.series(plain)).toBe('"cpu{host=""a"",zone=""b""}"');
});

test("values are exact, and stale markers have a word in CSV only", () => {
  const line = (value: number) => openMetrics.sample("a", 1500, value, false);
  expect([0, -0, 1e-7, 5e-324, 1e21, 0.1, Infinity, -Infinity, NaN].map(line)).toEqual(
    ["0", "-0", "1e-07", "5e-324", "1e+21", "0.1", "+Inf", "-Inf", "NaN"].map((text) => `a ${text} 1.500\n`),
  );
  expect(openMetrics.sample("a", 1500, NaN, true)).toBeUndefined();
  expect(csv.sample("a", 1500, NaN, true)).toBe("a,1500,stale\r\n");
  expect(csv.sample("a", 1500, -0, false)).toBe("a,1500,-0\r\n");
});

test("a time in seconds is read as the same ms, by our parser and by one that multiplies and cuts", () => {
  const random = new Random(seedFromEnv());
  const times = [0, 1, -1, 999, 1000, 1_732_450_000_123, -1_732_450_000_123];
  for (let i = 0; i < 20_000; i++) times.push(random.between(-4_000_000_000_000, 4_000_000_000_000));
  for (const timeMs of times) {
    const text = secondsText(timeMs);
    expect(Math.trunc(Number(text) * 1000), text).toBe(timeMs + 0);
    let read: number | undefined;
    const sink = { series: () => 0, sample: (_series: number, time: number) => void (read = time) };
    new ExpositionParser("openmetrics", sink).line(`a 1 ${text}`, 1);
    expect(read, text).toBe(timeMs);
  }
});

test("what is written is read back: labels, times and bits of values", () => {
  const random = new Random(seedFromEnv());
  const buffer = new DataView(new ArrayBuffer(8));
  for (let i = 0; i < 2_000; i++) {
    buffer.setUint32(0, random.below(2 ** 32));
    buffer.setUint32(4, random.below(2 ** 32));
    const value = buffer.getFloat64(0);
    if (Number.isNaN(value)) continue;
    const timeMs = random.below(2_000_000_000_000);
    const text = openMetrics.sample(openMetrics.series(odd), timeMs, value, false)!;
    const read: [LabelSet?, number?, bigint?] = [];
    const parser = new ExpositionParser("openmetrics", {
      series: (labels) => ((read[0] = labels), 0),
      sample: (_series, time, number) => void ((read[1] = time), (read[2] = bitsOf(number))),
    });
    parser.line(text.trimEnd(), 1);
    expect(read).toEqual([odd, timeMs, bitsOf(value)]);
  }
});
