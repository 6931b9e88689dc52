/** Requests as senders make them, and as none should: for the model of the head. Drawn, so a run is repeated by its seed. */
import { bitsOf } from "./columns.ts";
import type { Random } from "./random.ts";
import type { ByteLabel, TwinSample, TwinSeries } from "./remote-write-twin.ts";

/** Draws what is sent. Times are about `nowMs`, some of them far off. */
export class RandomRequests {
  readonly #random: Random;

  constructor(random: Random) {
    this.#random = random;
  }

  request(nowMs: number): TwinSeries[] {
    const random = this.#random;
    return Array.from({ length: 1 + random.below(12) }, () => ({
      labels: this.#labels(),
      samples: Array.from({ length: random.chance(0.9) ? 1 : random.below(5) }, () => this.#sample(nowMs)),
    }));
  }

  /** One series with so many samples that chunks fill up, and the time after the last of them. */
  burst(nowMs: number): { readonly series: TwinSeries; readonly endMs: number } {
    const random = this.#random;
    const step = random.pick([1, 10, 1000, 90_000]);
    const count = random.between(50, 400);
    const { value } = this.#sample(nowMs);
    const samples = Array.from({ length: count }, (_, i) => ({
      timestampMs: BigInt(nowMs + i * step),
      value: random.chance(0.7) ? value : bitsOf(random.below(1000) / 8),
    }));
    const labels: ByteLabel[] = [
      ["__name__", "burst"],
      ["host", `h${random.below(3)}`],
    ];
    return { series: { labels, samples }, endMs: nowMs + step * count };
  }

  #labels(): ByteLabel[] {
    const random = this.#random;
    const isWide = random.chance(0.1);
    const values = isWide ? 100_000 : 4;
    const labels: ByteLabel[] = [
      ["__name__", random.pick(["up", "cpu", "é".repeat(3), "m\u00ffé"].slice(0, isWide ? 2 : 3))],
    ];
    for (const name of ["a", "ab", "b", "host", "__proto__"]) {
      if (random.chance(0.4)) labels.push([name, random.chance(0.05) ? "" : `v${random.below(values)}`]);
    }
    // Text is kept as bytes.
    const encoded = labels.map(([name, value]): ByteLabel => [utf8(name), utf8(value)]);
    if (random.chance(0.03))
      encoded.push(
        random.pick<ByteLabel>([
          ["a", "again"],
          ["", "x"],
          ["x", "\xff"],
          ["n".repeat(21), "x"],
        ]),
      );
    if (random.chance(0.02)) encoded.push(["x", "v".repeat(31)]);
    if (random.chance(0.02)) encoded.shift();
    if (random.chance(0.02)) for (let i = 0; i < random.below(14); i++) encoded.push([`n${i}`, random.pick(["", "1"])]);
    // Senders sort by bytes; some do not.
    if (random.chance(0.1)) return encoded.sort(() => random.next() - 0.5);
    return encoded.sort(([a], [b]) => (a < b ? -1 : 1));
  }

  #sample(nowMs: number): TwinSample {
    const random = this.#random;
    const ago = random.chance(0.8) ? random.below(2000) : random.below(4 * 3_600_000);
    const offset = random.chance(0.01) ? random.pick([-(2 ** 53), 700_000, 2 ** 54, -101 * 86_400_000]) : -ago;
    // Whole seconds, so that some samples fall on the same one.
    const timestampMs = BigInt(Math.round((nowMs + offset) / 1000) * 1000);
    const value = random.chance(0.9)
      ? bitsOf(random.below(5))
      : random.pick([0x7ff0_0000_0000_0002n, 1n << 63n, 1n, bitsOf(Math.PI)]);
    return { timestampMs, value };
  }
}

const utf8 = (text: string): string => Buffer.from(text).toString("latin1");
