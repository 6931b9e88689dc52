import fc from "fast-check";
import { expect, test } from "vitest";
import { DURATION_MS_MAX, formatDurationMs, parseDurationMs } from "../../src/base/duration.ts";

const HOUR = 3_600_000;

test("a duration is counts of units from large to small, each at most once", () => {
  for (const [text, ms] of [
    ["0", 0],
    ["0s", 0],
    ["500ms", 500],
    ["90s", 90_000],
    ["1h30m", 1.5 * HOUR],
    ["720h", 720 * HOUR],
    ["1d12h", 36 * HOUR],
    ["1y2w3d4h5m6s7ms", (365 + 14 + 3) * 24 * HOUR + 4 * HOUR + 5 * 60_000 + 6007],
    ["9223372036854ms", DURATION_MS_MAX],
  ] as const)
    expect([text, parseDurationMs(text)]).toEqual([text, ms]);
});

test("what is no duration is refused", () => {
  for (const text of [
    "",
    " ",
    "1",
    "00",
    "s",
    "-1s",
    "+1s",
    "1.5h",
    "1e3s",
    "1 h",
    " 1h",
    "1h ",
    "1h\n",
    "1H",
    "1µs",
    "1us",
    "1ns",
    "1m1h",
    "1s1s",
    "1ms1s",
    "1M",
    "infs",
    "0x1h",
    "9223372036855ms",
    "293y",
    `${"9".repeat(400)}y`,
  ])
    expect([text, parseDurationMs(text)]).toEqual([text, undefined]);
});

test("a printed duration reads back as the same number", () => {
  const multiple = fc.tuple(
    fc.nat(290),
    fc.constantFrom(1, 1000, 60_000, HOUR, 24 * HOUR, 7 * 24 * HOUR, 365 * 24 * HOUR),
  );
  const ms = fc.oneof(
    fc.maxSafeNat().map((n) => n % DURATION_MS_MAX),
    multiple.map(([count, unit]) => count * unit),
  );
  fc.assert(fc.property(ms, (given) => parseDurationMs(formatDurationMs(given)) === given));
});

test("a duration is printed in the units a reader expects, years and weeks only when nothing is left over", () => {
  for (const text of ["0s", "1ms", "1s500ms", "30s", "5m", "1h30m", "15d", "30d", "1d12h", "1y", "2w"])
    expect(formatDurationMs(parseDurationMs(text)!)).toBe(text);
  expect(formatDurationMs(720 * HOUR)).toBe("30d");
  expect(formatDurationMs(7 * 24 * HOUR)).toBe("1w");
  expect(formatDurationMs(8 * 24 * HOUR)).toBe("8d");
});
