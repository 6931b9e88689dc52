/**
 * A slow SampleReader, written from the descriptions of PromQL and of the XOR chunk, on plain objects: what the kernel
 * must agree with. Every window is looked at afresh.
 */
import type { ChunkBatch } from "../../src/tsdb/storage.ts";
import type { StepGrid } from "../../src/tsdb/promql/plan/node.ts";
import type { Cells, SampleReader, Window } from "../../src/tsdb/promql/operators/sample-reader.ts";
import { STALE } from "./fake-storage.ts";
import { CompensatedSum, windowFunction } from "./window-oracle.ts";

export interface Sample {
  readonly time: number;
  readonly value: number;
  readonly isStale: boolean;
}

export class OracleReader implements SampleReader {
  readonly #chunks = new Map<number, Uint8Array>();
  #reserved = 0;
  #samples: Sample[] = [];

  readonly batch: ChunkBatch = {
    firstSeries: 0,
    seriesCount: 0,
    chunkStart: [],
    chunkAddress: [],
    chunkBytes: [],
    encoding: [],
    reserve: () => ++this.#reserved,
    store: (address, chunk) => void this.#chunks.set(address, chunk),
    // Only what merges chunks works on memory; the oracle reads what a fake storage gives it.
    get kernel(): never {
      throw new Error("the oracle has no kernel");
    },
    view: (address) => this.#chunks.get(address)!,
  };

  clearBatch(): void {
    this.#chunks.clear();
  }

  decode(i: number): void {
    const { chunkStart, chunkAddress } = this.batch;
    this.#samples = [];
    for (let chunk = chunkStart[i]!; chunk < chunkStart[i + 1]!; chunk++)
      this.#samples.push(...decodeXor(this.#chunks.get(chunkAddress[chunk]!)!));
  }

  allocate = (cellCount: number): Cells => new Float64Array(new SharedArrayBuffer(8 * cellCount));

  lookback(grid: StepGrid, lookbackMs: number, yields: "value" | "timestamp", rows: Cells, row: number): void {
    for (let step = 0; step < grid.count; step++) {
      const at = grid.startMs + step * grid.stepMs;
      const newest = this.#samples.findLast(({ time }) => time <= at && time > at - lookbackMs);
      const result =
        newest === undefined || newest.isStale ? STALE : [yields === "value" ? newest.value : newest.time / 1000];
      rows.set(result, row * grid.count + step);
    }
  }

  window({ function: name, rangeMs, parameter }: Window, grid: StepGrid, rows: Cells, row: number): number {
    let largest = 0;
    for (let step = 0; step < grid.count; step++) {
      const endMs = grid.startMs + step * grid.stepMs;
      const samples = this.#live(endMs, rangeMs);
      const result =
        samples.length === 0 ? undefined : windowFunction(name, samples, endMs, rangeMs, parameter?.[step]);
      rows.set(result === undefined ? STALE : [result], row * grid.count + step);
      largest = Math.max(largest, samples.length);
    }
    return largest;
  }

  addRows(rows: Cells, groupOf: Uint32Array, stepCount: number, sums: Cells, lost: Cells): void {
    groupOf.forEach((group, row) => {
      for (let step = 0; step < stepCount; step++) {
        const [from, to] = [row * stepCount + step, group * stepCount + step];
        if (isStale(rows, from)) continue;
        if (isStale(sums, to)) {
          sums[to] = rows[from]!;
          continue;
        }
        const sum = new CompensatedSum(sums[to], lost[to]);
        sum.add(rows[from]!);
        [sums[to], lost[to]] = [sum.sum, sum.lost];
      }
    });
  }

  samples(endMs: number, rangeMs: number) {
    const live = this.#live(endMs, rangeMs);
    return {
      times: Float64Array.from(live, ({ time }) => time),
      values: Float64Array.from(live, ({ value }) => value),
    };
  }

  #live = (endMs: number, rangeMs: number): Sample[] =>
    this.#samples.filter(({ time, isStale }) => time > endMs - rangeMs && time <= endMs && !isStale);
}

const isStale = (values: Float64Array, i: number): boolean =>
  new BigUint64Array(values.buffer, values.byteOffset, values.length)[i] === 0x7ff0000000000002n;

function decodeXor(chunk: Uint8Array): Sample[] {
  let position = 0;
  const bit = () => {
    const value = (chunk[position >> 3]! >> (7 - (position & 7))) & 1;
    position++;
    return value;
  };
  const bits = (width: number) => {
    let value = 0n;
    for (let i = 0; i < width; i++) value = (value << 1n) | BigInt(bit());
    return value;
  };
  const varint = () => {
    let value = 0n;
    for (let shift = 0n; ; shift += 7n) {
      const byte = bits(8);
      value |= (byte & 0x7fn) << shift;
      if (byte < 0x80n) return value;
    }
  };
  const count = Number(bits(16));
  const samples: Sample[] = [];
  let [time, delta, word, leading, trailing] = [0n, 0n, 0n, 0, 0];
  for (let i = 0; i < count; i++) {
    if (i === 0) {
      const zigzag = varint();
      time = (zigzag >> 1n) ^ -(zigzag & 1n);
      word = bits(64);
    } else {
      if (i === 1) delta = varint();
      else {
        let prefix = 0;
        while (prefix < 4 && bit() === 1) prefix++;
        const width = [0, 14, 17, 20, 64][prefix]!;
        const raw = bits(width);
        // All widths but the full one hold -(2^(n-1) - 1) to 2^(n-1).
        delta +=
          width === 64
            ? BigInt.asIntN(64, raw)
            : raw > 1n << BigInt(width - 1 || 0)
              ? raw - (1n << BigInt(width))
              : raw;
      }
      time += delta;
      if (bit() === 1) {
        if (bit() === 1) {
          leading = Number(bits(5));
          const significant = Number(bits(6)) || 64;
          trailing = 64 - leading - significant;
        }
        word ^= bits(64 - leading - trailing) << BigInt(trailing);
      }
    }
    const value = new Float64Array(new BigUint64Array([word]).buffer)[0]!;
    samples.push({ time: Number(time), value, isStale: word === 0x7ff0000000000002n });
  }
  return samples;
}
