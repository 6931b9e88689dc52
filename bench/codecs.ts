/**
 * What do float samples take in blocks, and how fast are they encoded and decoded? One day of each class of values, as XOR
 * chunks and as compaction packs them, and a node_exporter's mix of classes. In memory, without files and index.
 */
import { PackedEncoder } from "../src/tsdb/compact/packed-encoder.ts";
import type { ChunkEncoder, EncodedChunk } from "../src/tsdb/compact/run-writer.ts";
import { XorEncoder } from "../src/tsdb/compact/xor-encoder.ts";
import { loadKernelModule } from "../src/tsdb/kernel/load.ts";
import { PrivateMemory } from "../src/tsdb/kernel/private-memory.ts";
import { Random } from "../test/support/random.ts";
import type { Benchmark, Row } from "./support/report.ts";
import { median, sum } from "./support/statistics.ts";
import { nodeExporter } from "./workloads/node-exporter.ts";
import { CLASS_OF_KIND, VALUE_CLASSES } from "./workloads/value-classes.ts";

const SAMPLES = 5760;
const INTERVAL_MS = 15_000;
const START_MS = Date.UTC(2026, 0, 1);
const JITTER_MS = 20;

interface Cost {
  readonly sampleBytes: number;
  readonly encodeNs: number;
  readonly decodeNs: number;
}

export const codecs: Benchmark = {
  name: "codecs",
  question: "What do samples take in chunks, and how fast are they encoded and decoded?",
  async run({ isQuick, rounds = isQuick ? 5 : 25, progress }) {
    const bench = new CodecBench(isQuick ? 10 : 40, rounds);
    const costs = new Map<string, { readonly xor: Cost; readonly packed: Cost }>();
    for (const [name, make] of Object.entries(VALUE_CLASSES)) {
      progress(name);
      costs.set(name, bench.measure(make, 0));
    }
    const jittery = bench.measure(VALUE_CLASSES[CLASS_OF_KIND.constant]!, JITTER_MS);
    const kinds = nodeExporter.series.map(({ kind }) => costs.get(CLASS_OF_KIND[kind])!);
    const mean = (of: (cost: { readonly xor: Cost; readonly packed: Cost }) => Cost): Cost => {
      const average = (figure: keyof Cost) => sum(kinds.map((kind) => of(kind)[figure])) / kinds.length;
      return { sampleBytes: average("sampleBytes"), encodeNs: average("encodeNs"), decodeNs: average("decodeNs") };
    };
    const mix = { xor: mean(({ xor }) => xor), packed: mean(({ packed }) => packed) };
    return {
      sections: [
        {
          title: "One day of samples, 15 s apart",
          rows: [
            ...[...costs].map(([name, cost]) => rowOf(name, cost)),
            rowOf(`constant, times with ${JITTER_MS} ms of jitter`, jittery),
            rowOf("node_exporter's mix", mix),
          ],
        },
      ],
      verdicts: [],
      notes: [
        "B: bytes a sample, times included, index and checksums not. M/s: million samples a second.",
        "VictoriaMetrics keeps such a mix in 0.76 B after merging, 0.07 B of index aside, and rounds some values.",
      ],
    };
  },
};

const rowOf = (values: string, { xor, packed }: { readonly xor: Cost; readonly packed: Cost }): Row => ({
  values,
  "XOR B": xor.sampleBytes.toFixed(3),
  "packed B": packed.sampleBytes.toFixed(3),
  "XOR encode ns": xor.encodeNs.toFixed(1),
  "packed encode ns": packed.encodeNs.toFixed(1),
  "XOR decode M/s": Math.round(1000 / xor.decodeNs),
  "packed decode M/s": Math.round(1000 / packed.decodeNs),
});

/** Ns of time that each sample of a series takes. */
function nsASample(work: () => void): number {
  const start = performance.now();
  work();
  return ((performance.now() - start) * 1e6) / SAMPLES;
}

class CodecBench {
  readonly #memory = new PrivateMemory(loadKernelModule());
  readonly #encoders = { xor: new XorEncoder(this.#memory), packed: new PackedEncoder(this.#memory) };
  readonly #sampleCount: number;
  readonly #seriesCount: number;
  readonly #rounds: number;
  /** Of all series, one behind the other. */
  readonly #times: number;
  readonly #values: number;
  readonly #decodedTimes = this.#memory.reserve(8 * SAMPLES);
  readonly #decodedValues = this.#memory.reserve(8 * SAMPLES);

  constructor(seriesCount: number, rounds: number) {
    this.#seriesCount = seriesCount;
    this.#sampleCount = seriesCount * SAMPLES;
    this.#rounds = rounds;
    this.#times = this.#memory.reserve(8 * this.#sampleCount);
    this.#values = this.#memory.reserve(8 * this.#sampleCount);
  }

  measure(make: (random: Random) => () => number, jitterMs: number): { readonly xor: Cost; readonly packed: Cost } {
    const random = new Random(7);
    const times = this.#memory.column(this.#times, this.#sampleCount);
    const values = this.#memory.column(this.#values, this.#sampleCount);
    for (let at = 0; at < this.#sampleCount;) {
      const next = make(random.fork());
      for (let i = 0; i < SAMPLES; i++, at++) {
        times[at] = START_MS + i * INTERVAL_MS + (jitterMs === 0 ? 0 : random.below(jitterMs));
        values[at] = next();
      }
    }
    return { xor: this.#cost(this.#encoders.xor), packed: this.#cost(this.#encoders.packed) };
  }

  /** A call takes less than a slice of CPU time, so the fastest of several is what it takes; of all series the median. */
  #cost(encoder: ChunkEncoder): Cost {
    const costs = Array.from({ length: this.#seriesCount }, (_, series) => {
      let [encodeNs, decodeNs, bytes] = [Infinity, Infinity, 0];
      for (let round = 0; round < this.#rounds; round++) {
        let chunks: readonly EncodedChunk[] = [];
        encodeNs = Math.min(
          encodeNs,
          nsASample(() => void (chunks = this.#encode(series, encoder))),
        );
        decodeNs = Math.min(
          decodeNs,
          nsASample(() => this.#decode(chunks)),
        );
        bytes = sum(chunks.map(({ data }) => data.byteLength));
      }
      return { encodeNs, decodeNs, bytes };
    });
    return {
      sampleBytes: sum(costs.map(({ bytes }) => bytes)) / this.#sampleCount,
      encodeNs: median(costs.map(({ encodeNs }) => encodeNs)),
      decodeNs: median(costs.map(({ decodeNs }) => decodeNs)),
    };
  }

  #encode(series: number, encoder: ChunkEncoder): readonly EncodedChunk[] {
    encoder.reset();
    const chunks: EncodedChunk[] = [];
    for (let first = 0; first < SAMPLES; first += encoder.samplesMax) {
      const at = 8 * (series * SAMPLES + first);
      const count = Math.min(encoder.samplesMax, SAMPLES - first);
      chunks.push(...encoder.encode(this.#times + at, this.#values + at, count));
    }
    return chunks;
  }

  #decode(chunks: readonly EncodedChunk[]): void {
    const { kernel } = this.#memory;
    let decoded = 0;
    for (const { encoding, data } of chunks) {
      const [times, values] = [this.#decodedTimes + 8 * decoded, this.#decodedValues + 8 * decoded];
      decoded += kernel.decodeChunk(encoding, data.byteOffset, data.byteLength, times, values, SAMPLES - decoded);
    }
    if (decoded !== SAMPLES) throw new Error(`${decoded} of ${SAMPLES} samples were decoded`);
  }
}
