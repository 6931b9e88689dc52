/**
 * What the kernel exports for work on single values: bytes, snappy, hashes, chunks, windows, sums. Every function works on
 * addresses of the memory that its instance is attached to; `assembly/` says what each expects.
 */
export interface CodecExports {
  // bytes.ts
  /** Once per memory, before crc32c. */
  initTables(): void;
  crc32c(address: number, bytes: number, seed: number): number;
  isValidUtf8(address: number, bytes: number): number;

  // snappy.ts
  snappyDecodedLength(source: number, sourceBytes: number): number;
  /** @returns the decoded length; -1 malformed, -2 larger than targetBytesMax */
  snappyDecode(source: number, sourceBytes: number, target: number, targetBytesMax: number): number;

  // siphash.ts
  siphash128(key0: bigint, key1: bigint, address: number, bytes: number, out: number): void;

  // xor.ts
  /** @returns the number of samples, or -1 when the chunk is malformed or has more than countMax */
  xorDecode(chunk: number, chunkBytes: number, times: number, values: number, countMax: number): number;
  /** @returns the length of the chunk at `out`; `state` is 64 bytes of scratch */
  xorEncode(times: number, values: number, count: number, out: number, state: number): number;

  // xor2.ts
  /** @returns the number of samples, or -1 when the chunk is malformed or has more than countMax */
  xor2Decode(chunk: number, chunkBytes: number, times: number, values: number, countMax: number): number;

  // packed.ts
  /**
   * @param count 1 ... 8192
   * @param scratch 16 bytes a sample and 4 KiB
   * @returns the length of the chunk at `out`, 0 when it does not fit
   */
  packedEncode(times: number, values: number, count: number, out: number, outBytesMax: number, scratch: number): number;
  /** @returns the number of samples, or -1 when the chunk is malformed or has more than countMax */
  packedDecode(chunk: number, chunkBytes: number, times: number, values: number, countMax: number): number;
  packedSampleCount(chunk: number, chunkBytes: number): number;

  // raw.ts
  /** @returns the length of the chunk at `out`, 8 + 16 * count */
  rawEncode(times: number, values: number, count: number, out: number): number;
  /** @returns the number of samples, or -1 when the chunk is malformed or has more than countMax */
  rawDecode(chunk: number, chunkBytes: number, times: number, values: number, countMax: number): number;

  // decode-chunk.ts: chunks of any encoding (storage.ts)
  /** @returns how many samples the chunk says it holds; 0 when its bytes cannot, or the encoding is unknown */
  chunkSampleCount(encoding: number, chunk: number, chunkBytes: number): number;
  /** @returns the number of samples, -1 when malformed or more than countMax, UNKNOWN_ENCODING */
  decodeChunk(
    encoding: number,
    chunk: number,
    chunkBytes: number,
    times: number,
    values: number,
    countMax: number,
  ): number;

  // merge-samples.ts: each returns how many samples there are then
  /** Two ascending series into one elsewhere; at equal times the first one's sample counts. */
  mergeSamples(
    aTimes: number,
    aValues: number,
    aCount: number,
    bTimes: number,
    bValues: number,
    bCount: number,
    outTimes: number,
    outValues: number,
  ): number;
  /** Keeps the samples in [mint, maxt] of an ascending series, in place. */
  clipSamples(times: number, values: number, count: number, mint: number, maxt: number): number;
  /** Takes the samples in [mint, maxt] out of an ascending series, in place. */
  maskSamples(times: number, values: number, count: number, mint: number, maxt: number): number;
  /** Into time order, in place; of equal times the first row counts. `scratch`: 16 bytes a sample. */
  sortSamples(times: number, values: number, count: number, scratch: number): number;

  // hash-samples.ts
  /**
   * A sum, modulo 2^64, of hashes of each sample: results for pieces of a series (with the same seed) and for series (each
   * with its own) are added up by `BigInt.asUintN(64, a + b)`.
   */
  hashSamples(times: number, values: number, count: number, seed: bigint): bigint;

  // window.ts
  dropStale(times: number, values: number, count: number): number;
  lookback(
    times: number,
    values: number,
    count: number,
    start: number,
    step: number,
    steps: number,
    lookbackMs: number,
    yieldsTime: number,
    row: number,
  ): void;
  /** @returns how many samples the largest window has */
  windowBounds(
    times: number,
    count: number,
    start: number,
    step: number,
    steps: number,
    range: number,
    bounds: number,
    alike: number,
  ): number;
  firstOverTime(values: number, bounds: number, steps: number, row: number): void;
  lastOverTime(values: number, bounds: number, steps: number, row: number): void;
  countOverTime(bounds: number, steps: number, row: number): void;
  presentOverTime(bounds: number, steps: number, row: number): void;

  // window-rate.ts
  findResets(values: number, count: number, resets: number): number;
  extrapolate(
    times: number,
    values: number,
    bounds: number,
    alike: number,
    start: number,
    step: number,
    steps: number,
    range: number,
    isCounter: number,
    resets: number,
    resetCount: number,
    perSeconds: number,
    row: number,
  ): void;
  instantChange(times: number, values: number, bounds: number, steps: number, isRate: number, row: number): void;
  countChanges(values: number, bounds: number, steps: number, counts: number, count: number, row: number): void;
  countResets(values: number, bounds: number, steps: number, counts: number, count: number, row: number): void;
  slope(times: number, values: number, bounds: number, steps: number, row: number): void;

  // window-over-time.ts
  sumOverTime(values: number, bounds: number, steps: number, row: number): void;
  avgOverTime(values: number, bounds: number, steps: number, row: number): void;
  varianceOverTime(values: number, bounds: number, steps: number, isDeviation: number, row: number): void;
  extremeOverTime(values: number, bounds: number, steps: number, isMax: number, queue: number, row: number): void;
  quantileOverTime(values: number, bounds: number, steps: number, quantiles: number, sorted: number, row: number): void;

  // aggregate.ts
  addRows(rows: number, rowCount: number, steps: number, groups: number, sums: number, lost: number): void;
}

/** What `decodeChunk` answers to an encoding that it does not know. */
export const UNKNOWN_ENCODING = -2;
