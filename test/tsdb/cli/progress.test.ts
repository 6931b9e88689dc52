import { expect, test } from "vitest";
import { Progress } from "../../../src/tsdb/cli/progress.ts";
import { bytesText, countOf, countText, timeText } from "../../../src/tsdb/cli/units.ts";
import { ManualClock } from "../../support/clock.ts";

function shown(isTTY: boolean, columns = 80): { progress: Progress; clock: ManualClock; text: () => string } {
  const clock = new ManualClock();
  let text = "";
  const progress = new Progress({ isTTY, columns, write: (more) => (text += more) }, clock);
  return { progress, clock, text: () => text };
}

test("on a terminal a bar is drawn over itself and taken away at the end", () => {
  const { progress, clock, text } = shown(true);
  clock.advance(200);
  progress.update("reading", { done: 2 ** 20, total: 2 ** 22, unit: "bytes" });
  progress.update("reading", { done: 2 ** 21, total: 2 ** 22, unit: "bytes" });
  expect(text()).toBe("\r[======                  ] reading  25 % of 4.0 MiB\u001b[K");
  clock.advance(200);
  progress.update("reading", { done: 2 ** 22, total: 2 ** 22, unit: "bytes" });
  progress.clear();
  progress.clear();
  expect(text().endsWith("] reading  100 % of 4.0 MiB\u001b[K\r\u001b[K")).toBe(true);
});

test("no bar is wider than its terminal", () => {
  const { progress, clock, text } = shown(true, 30);
  clock.advance(200);
  progress.update("reading a file with a long name", { done: 1, total: 2, unit: "series" });
  // oxlint-disable-next-line no-control-regex -- that is how a terminal is told to go back and to clear the line
  expect(text().replace(/\r|\u001b\[K/g, "")).toHaveLength(29);
});

test("elsewhere there is a plain line every few seconds, and none for what is quick", () => {
  const { progress, clock, text } = shown(false);
  for (let i = 0; i < 12; i++) {
    progress.update("import", { done: i * 1000, total: 0, unit: "samples" });
    clock.advance(1000);
  }
  progress.clear();
  expect(text()).toBe("import: 5,000 samples\nimport: 10,000 samples\n");
});

test("sizes, counts and times are told as people read them", () => {
  expect([bytesText(17), bytesText(1536), bytesText(3 * 2 ** 30)]).toEqual(["17 B", "1.5 KiB", "3.0 GiB"]);
  expect([countText(0), countText(999), countText(1_234_567)]).toEqual(["0", "999", "1,234,567"]);
  expect([countOf(1, "sample"), countOf(1000, "sample"), countOf(2, "series")]).toEqual([
    "1 sample",
    "1,000 samples",
    "2 series",
  ]);
  expect([timeText(0), timeText(1), timeText(9e15)]).toEqual([
    "1970-01-01T00:00:00Z",
    "1970-01-01T00:00:00.001Z",
    "9000000000000000 ms",
  ]);
});
