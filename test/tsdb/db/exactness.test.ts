/** Values, times and labels that are easily lost, through every place where samples live: they stay what they are, bit for bit. */
import { expect, test } from "vitest";
import type { ModelSample } from "../../support/database-model.ts";
import { DatabaseRun, type RunSeries, runSeries } from "../../support/database-run.ts";
import { bitsOf } from "../../support/database.ts";
import { Random } from "../../support/random.ts";

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;

const VALUES: readonly bigint[] = [
  0x7ff0000000000002n, // the stale marker
  0x7ff8000000000000n,
  0x7ff8000000000001n,
  0xfff8dead0000beefn,
  0x7ff4000000000001n, // a signaling NaN
  bitsOf(Infinity),
  bitsOf(-Infinity),
  0n,
  1n << 63n, // -0
  1n, // the smallest denormal
  0x800fffffffffffffn,
  bitsOf(Number.MAX_VALUE),
  bitsOf(-Number.MAX_VALUE),
  bitsOf(Number.MIN_VALUE),
  bitsOf(2 ** 53),
  bitsOf(2 ** 53 + 2),
  bitsOf(0.1),
  bitsOf(0.3),
  bitsOf(1e308),
  bitsOf(5e-324),
];

const named = (...labels: readonly (readonly [string, string])[]): RunSeries =>
  runSeries([...labels].sort(([a], [b]) => Buffer.compare(Buffer.from(a), Buffer.from(b))));

const SERIES: readonly RunSeries[] = [
  named(["__name__", "plain"]),
  named(["__name__", "m"], ["__proto__", "p"], ["constructor", "c"], ["hasOwnProperty", "h"]),
  named(["__name__", "m"], ["10", "ten"], ["2", "two"], ["toString", "t"]),
  named(["__name__", "температура"], ["größe.in-m", "日本語"]),
  // UTF-16 order is not that of code points beyond the basic plane.
  named(["__name__", "order"], ["\u{ff61}", "below"], ["\u{1f600}", "astral"]),
  named(["__name__", "order"], ["v", "\u{1f600}"]),
  named(["__name__", "order"], ["v", "\u{ff61}"]),
  named(["__name__", "order"], ["v", "\u{0}\n\\ \u{7f}"]),
];

/** One of each value, a minute apart, beginning at another one for each series. */
const samplesAt = (startMs: number): ModelSample[] =>
  SERIES.flatMap(({ key }, n) =>
    VALUES.map((_, i) => ({ key, timeMs: startMs + i * MINUTE_MS, bits: VALUES[(i + n) % VALUES.length]! })),
  );

test.each([
  ["packed", Date.UTC(2026, 0, 1), true],
  ["plain", Date.UTC(2026, 0, 1), false],
  ["packed, before 1970", -10 * HOUR_MS, true],
  ["packed, as late as names of blocks go", 2 ** 47, true],
  ["packed, as early as times go", -(2 ** 52), true],
] as const)("nothing changes on the way from a request to blocks and back: %s", async (_, startMs, packed) => {
  const run = new DatabaseRun({ series: SERIES, random: new Random(1), startMs, options: { packed } });
  await run.open();
  for (let hour = 0; hour < 14; hour++) {
    await run.pass(HOUR_MS);
    const samples = samplesAt(run.clock.nowMs() - HOUR_MS);
    expect(await run.write(samples)).toBe(samples.length);
    run.check();
    if (hour === 1) await run.restart();
    if (hour === 2) await run.crash(0);
    run.check();
    // Between the samples of a block.
    const late = samples.slice(0, VALUES.length).map((sample) => ({ ...sample, timeMs: sample.timeMs - HOUR_MS + 7 }));
    for (const sample of hour > 3 ? late : []) await run.write([sample]);
    run.check();
  }
  await run.settle();
  run.check();
  await run.snapshot();
  await run.compact();
  run.check();
  expect(Math.max(...run.database.admin.blocks.map(({ meta }) => meta.compaction.level))).toBeGreaterThan(1);
  await run.snapshot();
  await run.restart();
  run.check();
  await run.close();
});
