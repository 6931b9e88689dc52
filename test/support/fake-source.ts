/**
 * A source of chunks in which a test says what there is: series with their chunks, in any order and overlapping as it
 * likes, and what is deleted of them. How many series it reads at a time is up to `seriesPerRead`.
 */
import { CHUNK_RAW, CHUNK_XOR } from "../../src/tsdb/storage.ts";
import type { QueryContext } from "../../src/tsdb/storage.ts";
import type { ChunkSource, SourceChunks, SourceQuerier, SourceSelection } from "../../src/tsdb/chunk-source.ts";
import { compareBytes } from "../../src/tsdb/model/labels.ts";
import type { LabelSet } from "../../src/tsdb/model/labels.ts";
import type { Matcher } from "../../src/tsdb/model/matcher.ts";
import { encodeXor, matchesAll } from "./fake-storage.ts";

export interface SourceSeries {
  readonly labels: LabelSet;
  readonly chunks: readonly SourceChunk[];
  /** Inclusive ranges that are deleted of its encoded chunks. */
  readonly deletions?: readonly (readonly [mint: number, maxt: number])[];
}

export interface SourceChunk {
  readonly isRaw?: boolean;
  /** Ascending. */
  readonly times: readonly number[];
  readonly values: Float64Array;
}

export class FakeSource implements ChunkSource {
  readonly mint: number;
  readonly maxt: number;
  readonly #series: readonly SourceSeries[];
  readonly #seriesPerRead: number;

  constructor(series: readonly SourceSeries[], seriesPerRead = Number.POSITIVE_INFINITY) {
    const times = series.flatMap(({ chunks }) => chunks.flatMap((chunk) => chunk.times));
    this.mint = times.reduce((least, time) => Math.min(least, time), Number.POSITIVE_INFINITY);
    this.maxt = times.reduce((most, time) => Math.max(most, time), Number.NEGATIVE_INFINITY);
    this.#series = series;
    this.#seriesPerRead = seriesPerRead;
  }

  querier({ labels: table }: QueryContext): SourceQuerier {
    const texts = (all: readonly string[]) => [...new Set(all)].sort(compareBytes);
    const matching = (matchers: readonly Matcher[], mint: number, maxt: number) =>
      this.#series.filter(
        ({ labels, chunks }) => matchesAll(matchers, labels) && chunks.some((chunk) => overlaps(chunk, mint, maxt)),
      );
    return {
      select: (matchers, mint, maxt) => {
        const series = matching(matchers, mint, maxt);
        const pairIds = series.map(({ labels }) => Uint32Array.from(labels, (pair) => table.pairId(...pair)));
        return new FakeSelection(series, pairIds, { mint, maxt, seriesPerRead: this.#seriesPerRead });
      },
      labelNames: (...given) => texts(matching(...given).flatMap(({ labels }) => labels.map(([name]) => name))),
      labelValues: (wanted, ...given) =>
        texts(
          matching(...given).flatMap(({ labels }) =>
            labels.filter(([name]) => name === wanted).map(([, value]) => value),
          ),
        ),
      warnings: [],
      close() {},
    };
  }
}

class FakeSelection implements SourceSelection {
  readonly seriesCount: number;
  readonly #series: readonly SourceSeries[];
  readonly #pairIds: readonly Uint32Array[];
  readonly #limits: { readonly mint: number; readonly maxt: number; readonly seriesPerRead: number };

  constructor(
    series: readonly SourceSeries[],
    pairIds: readonly Uint32Array[],
    limits: { mint: number; maxt: number; seriesPerRead: number },
  ) {
    this.seriesCount = series.length;
    this.#series = series;
    this.#pairIds = pairIds;
    this.#limits = limits;
  }

  labels = (i: number): Uint32Array => this.#pairIds[i]!;

  read(wanted: Uint32Array, into: SourceChunks, bytesMax: number): number {
    const { mint, maxt, seriesPerRead } = this.#limits;
    into.clear();
    let bytes = 0;
    let read = 0;
    for (; read < Math.min(wanted.length, seriesPerRead) && (read === 0 || bytes < bytesMax); read++) {
      const { chunks, deletions = [] } = this.#series[wanted[read]!]!;
      for (const [from, to] of deletions) into.deletions.push({ series: read, mint: from, maxt: to });
      for (const chunk of chunks.filter((candidate) => overlaps(candidate, mint, maxt))) {
        const encoded = chunk.isRaw === true ? encodeRaw(chunk) : encodeXor(chunk.times, chunk.values);
        const address = into.memory.reserve(encoded.length)!;
        into.memory.store(address, encoded);
        const encoding = chunk.isRaw === true ? CHUNK_RAW : CHUNK_XOR;
        into.add(address, encoded.length, encoding, chunk.times[0]!, chunk.times.at(-1)!);
        bytes += encoded.length;
      }
      into.endSeries();
    }
    return read;
  }
}

const overlaps = ({ times }: SourceChunk, mint: number, maxt: number): boolean =>
  times[0]! <= maxt && times.at(-1)! >= mint;

function encodeRaw({ times, values }: SourceChunk): Uint8Array {
  const bytes = new Uint8Array(8 + 16 * times.length);
  new DataView(bytes.buffer).setUint32(0, times.length, true);
  new Float64Array(bytes.buffer, 8, times.length).set(times);
  new Float64Array(bytes.buffer, 8 + 8 * times.length, times.length).set(values);
  return bytes;
}
