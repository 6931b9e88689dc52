/**
 * A second source of chunk batches, beside the head: series given as plain arrays, matched by walking over them all, and
 * encoded to XOR chunks by an encoder written from Prometheus' format description. Whoever computes the same from it and
 * from the head depends on neither.
 *
 * How it cuts samples into chunks and series into batches is the caller's choice: an answer must not depend on either.
 */
import { RE2JS } from "re2js";
import { METRIC_NAME } from "../../src/tsdb/model/labels.ts";
import type { LabelPair, LabelSet } from "../../src/tsdb/model/labels.ts";
import type { Matcher } from "../../src/tsdb/model/matcher.ts";
import { CHUNK_XOR } from "../../src/tsdb/storage.ts";
import type { ChunkBatch, Querier, QueryContext, SeriesSelection, Storage } from "../../src/tsdb/storage.ts";
import { compareBytes } from "../../src/tsdb/model/labels.ts";

export interface FakeSeries {
  readonly labels: LabelSet;
  /** Ms since the epoch, ascending. */
  readonly times: readonly number[];
  readonly values: Float64Array;
}

export interface Cuts {
  /** Samples per chunk, in turn, from the first series' first chunk on. */
  readonly chunkSamples: readonly number[];
  /** Series per batch, in turn. */
  readonly batchSeries: readonly number[];
}

export const STALE = new Float64Array(new Uint32Array([2, 0x7ff00000]).buffer);

export const labelSet = (labels: Readonly<Record<string, string>>): LabelSet =>
  Object.entries(labels)
    .filter(([, value]) => value !== "")
    .sort(([a], [b]) => compareBytes(a, b))
    .map(([name, value]): LabelPair => [name, value]);

/** A series of the metric `name`, with a sample every `intervalMs` from time 0. */
export function regular(
  name: string,
  labels: Readonly<Record<string, string>>,
  intervalMs: number,
  values: readonly number[],
): FakeSeries {
  const times = values.map((_, i) => i * intervalMs);
  return { labels: labelSet({ [METRIC_NAME]: name, ...labels }), times, values: Float64Array.from(values) };
}

export class FakeStorage implements Storage {
  readonly #series: readonly FakeSeries[];
  readonly #cuts: Cuts;

  constructor(series: readonly FakeSeries[], cuts: Cuts = { chunkSamples: [120], batchSeries: [3] }) {
    this.#series = series;
    this.#cuts = cuts;
  }

  querier(context: QueryContext): Querier {
    const matching = (matchers: readonly Matcher[], mint: number, maxt: number) =>
      this.#series.filter(
        ({ labels, times }) => times.some((time) => time >= mint && time <= maxt) && matchesAll(matchers, labels),
      );
    const sortedUnique = (texts: Iterable<string>) => [...new Set(texts)].sort(compareBytes);
    return {
      // Series that match but have no sample in the range are allowed by the contract, so the fake returns them.
      select: (matchers) => {
        const selected = this.#series.filter(({ labels }) => matchesAll(matchers, labels));
        context.budget.addSeries(selected.length);
        return new FakeSelection(selected, this.#cuts, context);
      },
      labelNames: (matchers, mint, maxt) =>
        sortedUnique(matching(matchers, mint, maxt).flatMap(({ labels }) => labels.map(([name]) => name))),
      labelValues: (name, matchers, mint, maxt) =>
        sortedUnique(
          matching(matchers, mint, maxt).flatMap(({ labels }) =>
            labels.filter(([labelName]) => labelName === name).map(([, value]) => value),
          ),
        ),
      warnings: [],
      close() {},
    };
  }
}

class FakeSelection implements SeriesSelection {
  readonly seriesCount: number;
  readonly #series: readonly FakeSeries[];
  readonly #cuts: Cuts;
  readonly #pairIds: readonly Uint32Array[];
  #nextSeries = 0;
  #chunksCut = 0;
  #batchesCut = 0;

  constructor(series: readonly FakeSeries[], cuts: Cuts, { labels: table }: QueryContext) {
    this.seriesCount = series.length;
    this.#series = series;
    this.#cuts = cuts;
    this.#pairIds = series.map(({ labels }) => Uint32Array.from(labels, ([name, value]) => table.pairId(name, value)));
  }

  labels = (i: number): Uint32Array => this.#pairIds[i]!;

  next(into: ChunkBatch): boolean {
    into.firstSeries = this.#nextSeries;
    into.seriesCount = 0;
    into.chunkStart.length = into.chunkAddress.length = into.chunkBytes.length = into.encoding.length = 0;
    into.chunkStart.push(0);
    if (this.#nextSeries === this.seriesCount) return false;
    const wanted = inTurn(this.#cuts.batchSeries, this.#batchesCut++);
    while (into.seriesCount < wanted && this.#nextSeries < this.seriesCount) {
      const chunks = this.#encode(this.#series[this.#nextSeries]!);
      const addresses: number[] = [];
      for (const chunk of chunks) {
        const address = into.reserve(chunk.length);
        if (address !== undefined) addresses.push(address);
      }
      if (addresses.length < chunks.length) break;
      chunks.forEach((chunk, i) => {
        into.store(addresses[i]!, chunk);
        into.chunkAddress.push(addresses[i]!);
        into.chunkBytes.push(chunk.length);
        into.encoding.push(CHUNK_XOR);
      });
      into.chunkStart.push(into.chunkAddress.length);
      into.seriesCount++;
      this.#nextSeries++;
    }
    if (into.seriesCount === 0) throw new Error("a single series does not fit into a batch");
    return true;
  }

  #encode(series: FakeSeries): Uint8Array[] {
    const { chunkSamples } = this.#cuts;
    if (chunkSamples.length > 1) return this.#cut(series);
    // Cut the same way each time, so once is enough, however many queries read it.
    const known = ENCODED.get(series) ?? new Map<number, Uint8Array[]>();
    const chunks = known.get(chunkSamples[0]!) ?? this.#cut(series);
    ENCODED.set(series, known.set(chunkSamples[0]!, chunks));
    return chunks;
  }

  #cut({ times, values }: FakeSeries): Uint8Array[] {
    const chunks: Uint8Array[] = [];
    for (let start = 0; start < times.length;) {
      const end = Math.min(times.length, start + inTurn(this.#cuts.chunkSamples, this.#chunksCut++));
      chunks.push(encodeXor(times.slice(start, end), values.subarray(start, end)));
      start = end;
    }
    return chunks;
  }
}

/** By series and samples per chunk. */
const ENCODED = new WeakMap<FakeSeries, Map<number, Uint8Array[]>>();

const inTurn = (choices: readonly number[], turn: number): number => Math.max(1, choices[turn % choices.length] ?? 1);

export function matchesAll(matchers: readonly Matcher[], labels: LabelSet): boolean {
  return matchers.every(({ type, name, value: wanted }) => {
    const value = labels.find(([labelName]) => labelName === name)?.[1] ?? "";
    switch (type) {
      case "=":
        return value === wanted;
      case "!=":
        return value !== wanted;
      case "=~":
        return compiled(wanted).matches(value);
      case "!~":
        return !compiled(wanted).matches(value);
    }
  });
}

const compiled = (pattern: string): RE2JS => RE2JS.compile(pattern, RE2JS.DOTALL);

/** Prometheus' XOR chunk: sample count, then per sample a delta of deltas and the XOR with the value before. */
export function encodeXor(times: readonly number[], values: Float64Array): Uint8Array {
  const bits = new BitWriter();
  bits.write(BigInt(times.length), 16);
  const words = new BigUint64Array(values.buffer, values.byteOffset, values.length);
  let delta = 0;
  let leading = -1; // no window of significant bits yet
  let trailing = 0;
  times.forEach((time, i) => {
    const word = words[i]!;
    if (i === 0) {
      bits.varint(BigInt(time) >= 0n ? BigInt(time) * 2n : -BigInt(time) * 2n - 1n);
      bits.write(word, 64);
      return;
    }
    const previousDelta = delta;
    delta = time - times[i - 1]!;
    if (i === 1) bits.varint(BigInt(delta));
    else bits.deltaOfDelta(delta - previousDelta);

    const xor = word ^ words[i - 1]!;
    if (xor === 0n) return bits.write(0n, 1);
    bits.write(1n, 1);
    const leadingNow = Math.min(31, 64 - xor.toString(2).length);
    const trailingNow = xor.toString(2).length - xor.toString(2).replace(/0+$/, "").length;
    if (leading >= 0 && leadingNow >= leading && trailingNow >= trailing) {
      bits.write(0n, 1);
      bits.write(xor >> BigInt(trailing), 64 - leading - trailing);
      return;
    }
    [leading, trailing] = [leadingNow, trailingNow];
    const significant = 64 - leading - trailing;
    bits.write(1n, 1);
    bits.write(BigInt(leading), 5);
    bits.write(BigInt(significant & 63), 6); // 64 is written as 0
    bits.write(xor >> BigInt(trailing), significant);
  });
  return bits.bytes();
}

class BitWriter {
  readonly #bits: number[] = [];

  write(value: bigint, width: number): void {
    for (let bit = width - 1; bit >= 0; bit--) this.#bits.push(Number((value >> BigInt(bit)) & 1n));
  }

  varint(value: bigint): void {
    for (; value >= 0x80n; value >>= 7n) this.write((value & 0x7fn) | 0x80n, 8);
    this.write(value, 8);
  }

  deltaOfDelta(value: number): void {
    const fits = (width: number) => value >= -(2 ** (width - 1) - 1) && value <= 2 ** (width - 1);
    if (value === 0) return this.write(0n, 1);
    for (const [width, prefix, prefixWidth] of [
      [14, 0b10n, 2],
      [17, 0b110n, 3],
      [20, 0b1110n, 4],
    ] as const)
      if (fits(width)) {
        this.write(prefix, prefixWidth);
        return this.write(BigInt.asUintN(width, BigInt(value)), width);
      }
    this.write(0b1111n, 4);
    this.write(BigInt.asUintN(64, BigInt(value)), 64);
  }

  bytes(): Uint8Array {
    const bytes = new Uint8Array(Math.ceil(this.#bits.length / 8));
    this.#bits.forEach((bit, i) => (bytes[i >> 3] = bytes[i >> 3]! | (bit << (7 - (i & 7)))));
    return bytes;
  }
}
