/**
 * What is in a block, counted: its labels from the index, its chunks by kind. The lists are those that /api/v1/status/tsdb
 * has of the head. Everything that is read is verified on the way; nothing is decoded.
 */
import type { BlockReader } from "../block/block-reader.ts";
import type { PrivateMemory } from "../kernel/private-memory.ts";
import { METRIC_NAME } from "../model/labels.ts";
import { encodingName, scanChunks } from "./scan-chunks.ts";

export interface NamedCount {
  readonly name: string;
  readonly value: number;
}

export interface ChunkKind {
  readonly encoding: number;
  readonly name: string;
  readonly chunks: number;
  readonly samples: number;
  /** Of their data, without lengths and checksums. */
  readonly bytes: number;
}

export interface LabelColumn {
  readonly name: string;
  readonly values: number;
  /** That have the label. */
  readonly series: number;
  /** Of all values, each once. */
  readonly valueBytes: number;
}

export interface BlockReport {
  readonly series: number;
  readonly labelPairs: number;
  readonly seriesCountByMetricName: readonly NamedCount[];
  readonly labelValueCountByLabelName: readonly NamedCount[];
  readonly memoryInBytesByLabelName: readonly NamedCount[];
  readonly seriesCountByLabelValuePair: readonly NamedCount[];
  /** By name. */
  readonly labels: readonly LabelColumn[];
  readonly chunkKinds: readonly ChunkKind[];
  /** Of the postings table, the series and so on: the whole index file. */
  readonly indexBytes: number;
  readonly chunkFileBytes: number;
}

export interface BlockReportOptions {
  readonly memory: PrivateMemory;
  /** Entries of each list. */
  readonly limit: number;
  readonly onProgress: (doneSeries: number, totalSeries: number) => void;
}

/** @throws CorruptBlockError */
export function reportBlock(block: BlockReader, { memory, limit, onProgress }: BlockReportOptions): BlockReport {
  const { index, chunks } = block;
  const total = index.allPostings().length;
  const { labels, metrics, pairs, memoryByName } = countLabels(block, limit);
  const kinds = new Map<number, { chunks: number; samples: number; bytes: number }>();
  let done = 0;
  scanChunks(block, memory, {
    check: () => onProgress(done++, total),
    chunk(encoding, bytes, samples) {
      let kind = kinds.get(encoding);
      if (kind === undefined) kinds.set(encoding, (kind = { chunks: 0, samples: 0, bytes: 0 }));
      kind.chunks++;
      kind.samples += samples;
      kind.bytes += bytes;
    },
  });
  let chunkFileBytes = 0;
  for (let file = 0; file < chunks.fileCount; file++) chunkFileBytes += chunks.sizeBytes(file);
  const valueCounts = new Largest(limit);
  for (const { name, values } of labels) valueCounts.offer(name, values);
  return {
    series: total,
    labelPairs: labels.reduce((sum, { values }) => sum + values, 0),
    seriesCountByMetricName: metrics.found,
    labelValueCountByLabelName: valueCounts.found,
    memoryInBytesByLabelName: memoryByName.found,
    seriesCountByLabelValuePair: pairs.found,
    labels,
    chunkKinds: [...kinds]
      .sort(([a], [b]) => a - b)
      .map(([encoding, kind]) => ({ encoding, name: encodingName(encoding), ...kind })),
    indexBytes: index.sizeBytes,
    chunkFileBytes,
  };
}

function countLabels(block: BlockReader, limit: number) {
  const { index } = block;
  const metrics = new Largest(limit);
  const pairs = new Largest(limit);
  const memoryByName = new Largest(limit);
  const labels = index.labelNames.map((name): LabelColumn => {
    let series = 0;
    let valueBytes = 0;
    let bytesOfSeries = 0;
    index.forEachValue(name, (value, postings) => {
      const count = index.postingsAt(postings).length;
      const bytes = Buffer.byteLength(value);
      series += count;
      valueBytes += bytes;
      bytesOfSeries += count * bytes;
      pairs.offer(`${name}=${value}`, count);
      if (name === METRIC_NAME) metrics.offer(value, count);
    });
    memoryByName.offer(name, bytesOfSeries);
    return { name, values: index.valueCount(name), series, valueBytes };
  });
  return { labels, metrics, pairs, memoryByName };
}

/** The few largest of many counts, the largest first; of equal ones those that came first. */
class Largest {
  readonly found: NamedCount[] = [];
  readonly #limit: number;

  constructor(limit: number) {
    this.#limit = limit;
  }

  offer(name: string, value: number): void {
    if (value === 0) return;
    if (this.found.length === this.#limit) {
      if (value <= this.found[this.#limit - 1]!.value) return;
      this.found.pop();
    }
    let place = this.found.length;
    while (place > 0 && this.found[place - 1]!.value < value) place--;
    this.found.splice(place, 0, { name, value });
  }
}
