/**
 * Maintenance whose flush is written from its description: it reads all that the head has before a time, series by series,
 * and writes a block for each range. Slow and obvious, and an oracle for the real one.
 */
import type { Vfs } from "../../src/base/vfs.ts";
import { HeadStorage } from "../../src/tsdb/head/head-storage.ts";
import type {
  FlushJob,
  JobKind,
  JobOf,
  JobResults,
  MaintenanceRunner,
  RunJobOptions,
} from "../../src/tsdb/maintenance/protocol.ts";
import type { LabelSet } from "../../src/tsdb/model/labels.ts";
import { MergedStorage } from "../../src/tsdb/query/merged-storage.ts";
import { writeBlock, type BlockSeries } from "./blocks.ts";
import { readStorage } from "./read-storage.ts";

/** Of all runners, so that no two lives of one disk name a block alike. */
let blockCount = 0;

export class FlushingRunner implements MaintenanceRunner {
  readonly #inner: MaintenanceRunner;
  readonly #vfs: Vfs;
  readonly #blocksDir: string;
  flushes: FlushJob[] = [];

  constructor(inner: MaintenanceRunner, vfs: Vfs, blocksDir: string) {
    this.#inner = inner;
    this.#vfs = vfs;
    this.#blocksDir = blocksDir;
  }

  run<K extends JobKind>(job: JobOf<K>, options?: RunJobOptions): Promise<JobResults[K]> {
    if (job.kind !== "flush") return this.#inner.run(job, options);
    return this.#flush(job as FlushJob) as Promise<JobResults[K]>;
  }

  close(): Promise<void> {
    return this.#inner.close();
  }

  async #flush(job: FlushJob): Promise<JobResults["flush"]> {
    this.flushes.push(job);
    const blocks = [];
    for (const [range, series] of this.#ranges(job)) {
      const ulid = `01J${String(range).padStart(17, "0")}${String(++blockCount).padStart(6, "0")}`;
      const options = { minTime: range * job.blockRangeMs, maxTime: (range + 1) * job.blockRangeMs };
      const finished = await writeBlock({ vfs: this.#vfs, blocksDir: this.#blocksDir, ulid, ...options }, series);
      blocks.push({ meta: finished.meta, sizeBytes: 1, hasTombstones: false });
    }
    return { blocks };
  }

  #ranges({ head, beforeMs, blockRangeMs }: FlushJob): Map<number, BlockSeries[]> {
    const storage = new HeadStorage(head, this.#vfs);
    const ranges = new Map<number, BlockSeries[]>();
    try {
      const { series } = readStorage(new MergedStorage([storage.source(Number.NEGATIVE_INFINITY)], []));
      for (const [key, { times, bits }] of series) {
        const parts = Map.groupBy(times.keys(), (i) => Math.floor(times[i]! / blockRangeMs));
        for (const [range, indexes] of parts) {
          const samples = indexes
            .filter((i) => times[i]! < beforeMs)
            .map((i) => ({ timeMs: times[i]!, value: bits[i]! }));
          if (samples.length === 0) continue;
          ranges.set(range, [...(ranges.get(range) ?? []), { labels: labelsOf(key), chunks: [samples] }]);
        }
      }
    } finally {
      storage.close();
    }
    return new Map([...ranges].sort(([a], [b]) => a - b));
  }
}

const labelsOf = (key: string): LabelSet =>
  [...key.matchAll(/([^,="]+)="([^"]*)"/g)].map(([, name, value]) => [name!, value!] as const);
