/**
 * Random lives of a database beside a model of it: appends, late samples, repeats, deletes, flushes, merges, retention, cleaning,
 * snapshots, restarts with other options, and crashes with none, half or all of what was not synced. What is stored is
 * compared with the model bit for bit after every few steps.
 *
 * SEED=n runs one life; MODEL_LIVES=n runs more fresh ones.
 */
import { expect, test, vi } from "vitest";
import { messageOf } from "../../../src/base/errors.ts";
import type { ModelDelete, ModelSample } from "../../support/database-model.ts";
import { DatabaseRun, type RunOptions, runSeries } from "../../support/database-run.ts";
import { bitsOf, rest } from "../../support/database.ts";
import { Random, seedFromEnv } from "../../support/random.ts";

// Seconds alone, more beside other tests.
vi.setConfig({ testTimeout: 300_000 });

const SECOND_MS = 1_000;
const MINUTE_MS = 60 * SECOND_MS;
const HOUR_MS = 60 * MINUTE_MS;
const STEPS = 70;

/** Lives that once found something. */
const KNOWN_SEEDS: readonly number[] = [1, 2, 5];
const FRESH_LIVES = Number(process.env["MODEL_LIVES"] ?? 4);

const SERIES = Array.from({ length: 7 }, (_, n) =>
  runSeries([
    ["__name__", "m"],
    ["n", String(n)],
    ["side", n % 2 === 0 ? "even" : "odd"],
  ]),
);
/** Its samples come hours after those of the others. */
const LAGGING = SERIES[6]!;

class Life {
  readonly #random: Random;
  readonly #run: DatabaseRun;
  /** Counts up with resets, for chunks that look like those of counters. */
  #counter = 0;

  constructor(seed: number) {
    this.#random = new Random(seed);
    const startMs = Date.UTC(2026, 0, 1) + this.#random.below(24 * HOUR_MS);
    const retentionMs = this.#random.pick([8, 26, 24 * 30]) * HOUR_MS;
    this.#run = new DatabaseRun({
      series: SERIES,
      random: this.#random,
      startMs,
      options: { ...this.#options(), retentionMs, outOfOrderWindowMs: this.#random.pick([1, 6, 8]) * HOUR_MS },
    });
  }

  /** What may be different after each start. */
  #options(): Partial<RunOptions> {
    const random = this.#random;
    return {
      sync: random.pick(["always", "always", "interval"]),
      segmentBytesMax: random.pick([2_000, 20_000, 2 ** 20]),
      chunkFileBytesMax: random.pick([2_000, 20_000, 2 ** 20]),
      packed: random.chance(0.5),
      compactionEnabled: random.chance(0.7),
      compactionIntervalMs: random.pick([MINUTE_MS, 5 * MINUTE_MS, HOUR_MS]),
    };
  }

  /** @returns how much maintenance there was */
  async live(log: string[]): Promise<Readonly<Record<string, number>>> {
    const run = this.#run;
    await run.open();
    try {
      for (let step = 0; step < STEPS; step++) {
        log.push(`${step}: ${await this.#step()}`);
        if (this.#random.chance(0.5)) run.check();
      }
      await run.settle();
      run.check();
      await run.restart();
      run.check();
      await run.close();
      return run.done;
    } catch (thrown) {
      run.release();
      await run.database.close().catch(() => undefined);
      throw thrown;
    }
  }

  async #step(): Promise<string> {
    const random = this.#random;
    const run = this.#run;
    const dice = random.below(100);
    if (dice < 35) return this.#append();
    if (dice < 55) return this.#late();
    if (dice < 63) {
      const ms = random.pick([SECOND_MS, MINUTE_MS, 20 * MINUTE_MS, 2 * HOUR_MS, 4 * HOUR_MS]);
      await run.pass(ms, random.below(60));
      return `pass ${ms}`;
    }
    if (dice < 70) {
      await run.settle();
      return "settle";
    }
    if (dice < 76) {
      const { selector, ...what } = this.#deletion();
      await run.delete(selector, what);
      return `delete ${selector} ${what.mint} ${what.maxt}`;
    }
    if (dice < 80) {
      return `compact ${JSON.stringify(await run.compact())}`;
    }
    if (dice < 83) {
      return `clean ${JSON.stringify(await run.cleanTombstones())}`;
    }
    if (dice < 86) {
      await run.snapshot();
      return "snapshot";
    }
    if (dice < 89) {
      run.hold();
      return "hold a view";
    }
    if (dice < 93) {
      const options = this.#options();
      await run.restart(options);
      return `restart ${JSON.stringify(options)}`;
    }
    return this.#crash();
  }

  async #crash(): Promise<string> {
    const random = this.#random;
    const keep = random.pick([0, 0.5, 1, undefined]);
    const options = this.#options();
    const samples = random.chance(0.4) ? this.#appended() : [];
    const deleting = samples.length === 0 && random.chance(0.4) ? this.#deletion() : undefined;
    // Something may begin right before.
    if (random.chance(0.5)) await this.#run.pass(5 * MINUTE_MS, random.below(40));
    if (deleting) await this.#run.sync();
    await this.#run.crash(keep, options, {
      ...(samples.length > 0 && { samples }),
      ...(deleting && { deleting }),
    });
    return `crash ${keep ?? "kill"} ${samples.length} ${deleting?.selector} ${JSON.stringify(options)}`;
  }

  #deletion(): ModelDelete & { selector: string } {
    const random = this.#random;
    const [selector, pick] = random.pick([
      ...SERIES.map(({ key }, n) => [`m{n="${n}"}`, (other: string) => other === key] as const),
      ['{side="odd"}', (key: string) => key.includes("odd")] as const,
      ["m", () => true] as const,
    ]);
    const newest = this.#run.model.newestMs ?? this.#run.clock.nowMs();
    const mint = newest - random.below(random.pick([HOUR_MS, 8 * HOUR_MS, 40 * HOUR_MS]));
    const maxt = mint + random.below(random.pick([MINUTE_MS, 2 * HOUR_MS, 12 * HOUR_MS]));
    return { selector, keys: SERIES.map(({ key }) => key).filter(pick), mint, maxt };
  }

  /** In order, of some series: all must be taken. */
  #appended(): ModelSample[] {
    const random = this.#random;
    const nowMs = this.#run.clock.nowMs();
    const samples: ModelSample[] = [];
    for (const series of SERIES) {
      if (!random.chance(0.6)) continue;
      const { key } = series;
      const newest = this.#run.model.newestOf(key);
      const lagMs = series === LAGGING ? 7 * HOUR_MS : 0;
      let timeMs = Math.max((newest ?? 0) + 1, nowMs - lagMs - random.below(10 * MINUTE_MS));
      const stepMs = random.pick([1, SECOND_MS, 15 * SECOND_MS, MINUTE_MS]);
      for (let count = random.pick([1, 2, 20, 150]); count > 0 && timeMs <= nowMs; count--) {
        samples.push({ key, timeMs, bits: this.#value() });
        timeMs += stepMs;
      }
    }
    return samples;
  }

  async #append(): Promise<string> {
    await this.#run.pass(this.#random.pick([SECOND_MS, MINUTE_MS, 10 * MINUTE_MS, HOUR_MS]), this.#random.below(20));
    const samples = this.#appended();
    if (samples.length === 0) return "nothing to append";
    expect(await this.#run.write(samples), "in order").toBe(samples.length);
    return `append ${samples.length}`;
  }

  /** One sample that is not the newest of its series; mostly at a time of its own, or at one that has a value. */
  async #late(): Promise<string> {
    const random = this.#random;
    const { model, clock, options } = this.#run;
    const { key } = random.pick(SERIES);
    const newest = model.newestOf(key);
    if (newest === undefined) return "nothing to be late for";
    const known = model.timesOf(key);
    const backMs = random.pick([MINUTE_MS, HOUR_MS, options.outOfOrderWindowMs, 2 * options.outOfOrderWindowMs]);
    const isRepeat = known.length > 0 && random.chance(0.4);
    const timeMs = isRepeat ? random.pick(known) : newest - random.below(backMs);
    const stored = model.valueAt(key, timeMs);
    const bits = stored !== undefined && random.chance(0.5) ? stored : this.#value();
    const mustBeTaken =
      stored === undefined &&
      timeMs !== newest &&
      timeMs >= (model.newestMs ?? 0) - options.outOfOrderWindowMs &&
      timeMs >= clock.nowMs() - this.#run.database.admin.retention.settings.ageMs;
    const accepted = await this.#run.write([{ key, timeMs, bits }]);
    if (mustBeTaken) expect(accepted, `late by ${newest - timeMs} ms: ${key} at ${timeMs}`).toBe(1);
    if (random.chance(0.3)) await rest(random.below(10));
    return `late ${key} at ${timeMs} ${bits.toString(16)}: ${accepted}`;
  }

  #value(): bigint {
    const random = this.#random;
    switch (random.below(6)) {
      case 0:
        return bitsOf(random.below(10));
      case 1:
        return random.pick([0x7ff0000000000002n, 0x7ff8000000000001n, 1n << 63n, 0n, 1n, 0x7ff0000000000000n]);
      case 2:
        return bitsOf(random.next() * 1e6);
      case 3:
        this.#counter = 0;
        return bitsOf(0);
      default:
        this.#counter += random.below(100);
        return bitsOf(this.#counter);
    }
  }
}

async function live(seed: number): Promise<Readonly<Record<string, number>>> {
  const log: string[] = [];
  try {
    return await new Life(seed).live(log);
  } catch (cause) {
    if (process.env["SEED"] !== undefined) process.stderr.write(`${log.join("\n")}\n`);
    const command = `SEED=${seed} node_modules/.bin/node node_modules/.bin/vitest run test/tsdb/db/model.test.ts`;
    throw new Error(`After step ${log.length - 1}: ${messageOf(cause)}\n${command}`, { cause });
  }
}

const fresh = Array.from({ length: FRESH_LIVES }, seedFromEnv);
const seeds = process.env["SEED"] === undefined ? [...KNOWN_SEEDS, ...fresh] : [seedFromEnv()];

test.each(seeds)("life %i keeps to what is promised", async (seed) => {
  const done = await live(seed);
  process.stdout.write(`life ${seed}: ${JSON.stringify(done)}\n`);
  expect(done["flush"]).toBeGreaterThan(0);
});
