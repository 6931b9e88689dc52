import { expect, test } from "vitest";
import { plot, type PlotOptions, type PlotSeries } from "../../../src/tsdb/cli/plot.ts";

const options: PlotOptions = { columns: 40, rows: 10, startMs: 0, endMs: 60_000, stepMs: 1000, color: false };
const seriesOf = (name: string, f: (i: number) => number, count = 61): PlotSeries => ({
  name,
  timesMs: Array.from({ length: count }, (_, i) => i * 1000),
  values: Array.from({ length: count }, (_, i) => f(i)),
});

test("a rising line goes from the lower left to the upper right, with its range at the side and its times below", () => {
  expect(`\n${plot([seriesOf("up", (i) => i)], options)}`).toBe(`
60 ┤                                ⣀⠤⠒⠊
   │                           ⣀⡠⠔⠊⠉
   │                      ⢀⡠⠤⠒⠉
   │                  ⢀⠤⠒⠉⠁
   │             ⢀⡠⠤⠒⠉⠁
   │         ⣀⠤⠒⠊⠁
   │    ⣀⠤⠔⠊⠉
 0 ┤⡠⠔⠒⠉
   └────────────────────────────────────
    00:00:00                00:01:00 UTC
━━ up  last 60, min 0, max 60
`);
});

test("a flat line is drawn in the middle, and one point is a dot", () => {
  const lines = plot([seriesOf("flat", () => 5)], options).split("\n");
  expect(lines.findIndex((line) => /[⠀-⣿]/.test(line))).toBe(4);
  expect(plot([seriesOf("dot", () => 5, 1)], options).match(/[⠁-⣿]/g)).toHaveLength(1);
});

test("missing and infinite values leave gaps, and nothing but them is told as such", () => {
  const gap = plot([seriesOf("gap", (i) => (i > 20 && i < 40 ? NaN : 1))], options);
  expect(gap).toMatch(/[⠁-⣿] {5,}[⠁-⣿]/);
  expect(plot([seriesOf("none", () => NaN)], options)).toBe("No finite values to plot.\n");
  expect(plot([seriesOf("a", () => Infinity), seriesOf("b", (i) => i)], options)).toContain("━━ a  no finite values");
});

test("no line is wider than the terminal, whatever the values", () => {
  for (const scale of [1e-300, 1e-9, 1, 123_456_789, 5e306])
    for (const columns of [40, 80, 200])
      for (const line of plot([seriesOf("", (i) => (i - 30) * scale)], { ...options, columns })
        .split("\n")
        .slice(0, -2))
        expect(Array.from(line).length).toBeLessThanOrEqual(columns);
});

test("of more than ten series the highest are drawn and the others counted; colours only when asked for", () => {
  const many = Array.from({ length: 12 }, (_, n) => seriesOf(`s${n}`, (i) => i * n));
  expect(plot(many, options)).toContain("... and 2 more series, which stay lower");
  expect(plot(many, options)).toMatch(/\n━━ s2 [^]*\n━━ s11 /);
  expect(plot(many, options)).not.toMatch(/━━ s[01] /);
  expect(plot(many, options)).not.toContain("\u001b");
  expect(plot(many, { ...options, color: true })).toContain("\u001b[32m");
});
