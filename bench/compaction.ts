/**
 * How fast are blocks merged, in what memory, and what do samples take before and after?
 *
 * Three neighbouring blocks of two hours, as a flush writes them, of a node_exporter's mix of values, are merged by the
 * maintenance job in this process, on a real disk: with packing, without, and with a fourth block that has a tenth of the
 * samples once more, so that chunks overlap. The time is all of the job's: reading, merging, writing, syncing, and reading
 * back what was written.
 */
import { mkdirSync } from "node:fs";
import { randomBytes } from "node:crypto";
import { join } from "node:path";
import { assert } from "../src/base/assert.ts";
import { systemClock } from "../src/base/clock.ts";
import { silentLogger } from "../src/base/logger.ts";
import { realVfs } from "../src/base/vfs.ts";
import { BlockWriter } from "../src/tsdb/block/block-writer.ts";
import { SeriesSeeds } from "../src/tsdb/block/series-seed.ts";
import { SampleColumns } from "../src/tsdb/compact/columns.ts";
import { RunWriter } from "../src/tsdb/compact/run-writer.ts";
import { XorEncoder } from "../src/tsdb/compact/xor-encoder.ts";
import { SymbolTable } from "../src/tsdb/index/symbol-table.ts";
import { loadKernelModule } from "../src/tsdb/kernel/load.ts";
import { PrivateMemory } from "../src/tsdb/kernel/private-memory.ts";
import { jobs } from "../src/tsdb/maintenance/jobs.ts";
import type { LoadedBlock } from "../src/tsdb/maintenance/protocol.ts";
import { InlineRunner } from "../src/tsdb/maintenance/runner-inline.ts";
import { compareLabelSets, type LabelSet } from "../src/tsdb/model/labels.ts";
import { ulidMaker } from "../src/tsdb/model/ulid.ts";
import { Random } from "../test/support/random.ts";
import { cpuSeconds, memoryUsage, resetPeak } from "./support/process-usage.ts";
import type { Benchmark, BenchOptions, Row } from "./support/report.ts";
import { withWorkspace } from "./support/servers.ts";
import { median } from "./support/statistics.ts";
import { nodeExporter } from "./workloads/node-exporter.ts";
import { CLASS_OF_KIND, VALUE_CLASSES, type Values } from "./workloads/value-classes.ts";

const TARGETS = 10;
const QUICK_TARGETS = 2;
const BLOCKS = 3;
const RANGE_MS = 7_200_000;
const INTERVAL_MS = 15_000;
const SAMPLES = RANGE_MS / INTERVAL_MS;
const START_MS = Date.UTC(2026, 0, 1);
/** Of the samples that come twice. */
const LATE_SHARE = 0.1;

interface Series {
  readonly labels: LabelSet;
  readonly values: Values;
  readonly offsetMs: number;
}

export const compaction: Benchmark = {
  name: "compaction",
  question: "How fast are blocks merged, in what memory, and what do samples take before and after?",
  run: (options) =>
    withWorkspace("compaction", async (workspace) => {
      const dataDir = join(workspace.folder, "data");
      mkdirSync(join(dataDir, "blocks"), { recursive: true });
      const module = loadKernelModule();
      const source = new SourceBlocks(module, join(dataDir, "blocks"), options.isQuick ? QUICK_TARGETS : TARGETS);
      const written: LoadedBlock[] = [];
      for (let i = 0; i < BLOCKS; i++) {
        written.push(await source.write(START_MS + i * RANGE_MS));
        options.progress(`wrote block ${i + 1} of ${BLOCKS}`);
      }
      const late = await source.writeLate(START_MS + RANGE_MS);
      const random = (count: number): Uint8Array => randomBytes(count);
      const environment = { vfs: realVfs, dataDir, module, clock: systemClock, random, log: silentLogger };
      const merge = new Merge(new InlineRunner(jobs, environment), options);
      const sections = [
        {
          title: `${BLOCKS} blocks of ${source.seriesCount} series, ${SAMPLES} samples each`,
          rows: [
            await merge.measure("packed", written, true),
            await merge.measure("not packed", written, false),
            await merge.measure("packed, a tenth twice", [...written, late], true),
          ],
        },
      ];
      return {
        sections,
        verdicts: [],
        notes: ["one core, the process' own; medians; memory above what it had before"],
      };
    }),
};

class Merge {
  readonly #runner: InlineRunner;
  readonly #options: BenchOptions;

  constructor(runner: InlineRunner, options: BenchOptions) {
    this.#runner = runner;
    this.#options = options;
  }

  async measure(name: string, blocks: readonly LoadedBlock[], packed: boolean): Promise<Row> {
    const { isQuick, rounds = isQuick ? 1 : 5, progress } = this.#options;
    const samples = blocks.reduce((sum, { meta }) => sum + meta.stats.numSamples, 0);
    const sourceBytes = blocks.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
    const sources = blocks.map(({ meta }) => meta.ulid);
    const seconds: number[] = [];
    const cpu: number[] = [];
    const peaks: number[] = [];
    let merged: LoadedBlock | undefined;
    for (let round = 0; round < rounds; round++) {
      globalThis.gc?.();
      resetPeak(process.pid);
      const before = memoryUsage(process.pid).rssBytes;
      const [startMs, startCpu] = [performance.now(), cpuSeconds(process.pid)];
      const { block } = await this.#runner.run({ kind: "compact", sources, packed, reserveBytes: 0 });
      seconds.push((performance.now() - startMs) / 1000);
      cpu.push(cpuSeconds(process.pid) - startCpu);
      peaks.push(memoryUsage(process.pid).peakRssBytes - before);
      assert(block !== undefined, "nothing was merged");
      merged = block;
      await this.#runner.run({ kind: "remove", ulids: [block.meta.ulid] });
      progress(`${name}, round ${round + 1} of ${rounds}`);
    }
    const { meta, sizeBytes } = merged!;
    return {
      merge: name,
      "M samples/s": samples / median(seconds) / 1e6,
      "M samples/CPU s": samples / median(cpu) / 1e6,
      "source MB/s": sourceBytes / median(seconds) / 1e6,
      "peak MB": median(peaks) / 1e6,
      "B/sample before": sourceBytes / samples,
      "B/sample after": sizeBytes / meta.stats.numSamples,
      chunks: meta.stats.numChunks,
    };
  }
}

/** Writes blocks as a flush does. */
class SourceBlocks {
  readonly #blocksDir: string;
  readonly #memory: PrivateMemory;
  readonly #symbols: SymbolTable;
  readonly #series: readonly Series[];
  readonly #run: RunWriter;
  readonly #makeUlid = ulidMaker((into) => into.set(randomBytes(into.byteLength)));

  constructor(module: WebAssembly.Module, blocksDir: string, targets: number) {
    this.#blocksDir = blocksDir;
    this.#memory = new PrivateMemory(module);
    this.#run = new RunWriter(this.#memory, new XorEncoder(this.#memory));
    const random = new Random(42);
    const series: Series[] = [];
    for (let target = 0; target < targets; target++) {
      const offsetMs = random.below(INTERVAL_MS);
      for (const { labels, kind } of nodeExporter.series)
        series.push({
          labels: labelSetOf({ ...labels, ...nodeExporter.targetLabels(target) }),
          values: VALUE_CLASSES[CLASS_OF_KIND[kind]]!(random),
          offsetMs,
        });
    }
    this.#series = series.sort((a, b) => compareLabelSets(a.labels, b.labels));
    this.#symbols = SymbolTable.of(series.flatMap(({ labels }) => labels.flat()));
  }

  get seriesCount(): number {
    return this.#series.length;
  }

  write(fromMs: number): Promise<LoadedBlock> {
    return this.#write(fromMs, 1);
  }

  /** A tenth of the times of a block, with other values. */
  writeLate(fromMs: number): Promise<LoadedBlock> {
    return this.#write(fromMs, Math.round(1 / LATE_SHARE));
  }

  async #write(fromMs: number, step: number): Promise<LoadedBlock> {
    const ulid = this.#makeUlid(Date.now());
    const writer = await BlockWriter.create({
      vfs: realVfs,
      blocksDir: this.#blocksDir,
      ulid,
      symbols: this.#symbols,
      minTime: fromMs,
      maxTime: fromMs + RANGE_MS,
      compaction: { level: 1, sources: [ulid] },
    });
    const seeds = new SeriesSeeds(this.#symbols);
    const encoder = new TextEncoder();
    for (const { labels, values, offsetMs } of this.#series) {
      const numbers = Uint32Array.from(labels.flat(), (text) => this.#symbols.find(encoder.encode(text))!);
      this.#run.begin(seeds.of(numbers, labels.length));
      const count = Math.floor(SAMPLES / step);
      const columns: SampleColumns = this.#run.reserve(count);
      const times = this.#memory.column(columns.endTimes, count);
      const bits = this.#memory.column(columns.endValues, count);
      for (let i = 0; i < count; i++) {
        times[i] = fromMs + offsetMs + i * step * INTERVAL_MS;
        bits[i] = values();
      }
      this.#run.added(count);
      this.#run.flush();
      await writer.add(numbers, this.#run.chunks, this.#run.hash);
    }
    const { meta, sizeBytes } = await writer.finish();
    await writer.publish();
    return { meta, sizeBytes, hasTombstones: false };
  }
}

const labelSetOf = (labels: Readonly<Record<string, string>>): LabelSet =>
  Object.entries(labels).sort(([a], [b]) => (a < b ? -1 : 1));
