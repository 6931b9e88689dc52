/**
 * Encodes the samples of one series into chunks as they come: so many to a chunk, the last one shorter. Chunks that suit the
 * target as they are go through as bytes. Every sample is hashed on its way, decoded, so that what is read back from the
 * block can be held against it.
 */
import { TsdbError } from "../../base/errors.ts";
import type { ChunkToWrite } from "../block/block-writer.ts";
import { chunkSum } from "../block/sample-sum.ts";
import type { PrivateMemory } from "../kernel/private-memory.ts";
import { SampleColumns } from "./columns.ts";

export interface EncodedChunk {
  readonly encoding: number;
  readonly data: Uint8Array;
  readonly sampleCount: number;
}

/** Makes chunks of samples in kernel memory. */
export interface ChunkEncoder {
  /** What a chunk has at most. */
  readonly samplesMax: number;
  /**
   * @param count at most samplesMax
   * @returns all of them, in one chunk or, where that is shorter, in several; valid until `reset`
   */
  encode(times: number, values: number, count: number): readonly EncodedChunk[];
  /** The chunks of the series before are no longer needed. */
  reset(): void;
}

export class RunWriter {
  readonly #memory: PrivateMemory;
  readonly #encoder: ChunkEncoder;
  /** Samples that are not in a chunk yet. */
  readonly #run: SampleColumns;
  #chunks: ChunkToWrite[] = [];
  #seed = 0n;
  #hash = 0n;
  #lastTime = Number.NEGATIVE_INFINITY;

  constructor(memory: PrivateMemory, encoder: ChunkEncoder) {
    this.#memory = memory;
    this.#encoder = encoder;
    this.#run = new SampleColumns(memory);
  }

  /** What the present series has so far; valid until `begin`. */
  get chunks(): readonly ChunkToWrite[] {
    return this.#chunks;
  }

  /** Sum of the hashes of its samples. */
  get hash(): bigint {
    return this.#hash;
  }

  get samplesMax(): number {
    return this.#encoder.samplesMax;
  }

  /** How many samples wait for more. */
  get waitingCount(): number {
    return this.#run.count;
  }

  /** @param seed of the series' hash */
  begin(seed: bigint): void {
    this.#encoder.reset();
    this.#run.clear();
    this.#chunks = [];
    this.#seed = seed;
    this.#hash = 0n;
    this.#lastTime = Number.NEGATIVE_INFINITY;
  }

  /** Where to write the next samples, of which there are `count` at most; `added` says how many there were. */
  reserve(count: number): SampleColumns {
    this.#run.reserve(count);
    return this.#run;
  }

  added(count: number): void {
    if (count === 0) return;
    const run = this.#run;
    run.addCount(count);
    this.#follow(run.timeAt(run.count - count), run.lastTime);
    while (run.count >= this.samplesMax) this.#encode(this.samplesMax);
  }

  /** Encodes what waits. */
  flush(): void {
    if (this.#run.count > 0) this.#encode(this.#run.count);
  }

  /** A chunk that goes through, with the samples that it holds. */
  pass(encoding: number, data: Uint8Array, samples: SampleColumns): void {
    this.flush();
    const { times, values, count } = samples;
    const mint = samples.timeAt(0);
    const maxt = samples.lastTime;
    this.#follow(mint, maxt);
    this.#hashSamples(times, values, count);
    this.#chunks.push({ encoding, data, mint, maxt, sampleCount: count });
  }

  /** A chunk that goes through and that nothing here can decode. */
  passOpaque(encoding: number, address: number, bytes: number, mint: number, maxt: number): void {
    this.flush();
    const sum = chunkSum(this.#memory, encoding, address, bytes, this.#seed);
    if (sum === undefined) throw new TsdbError("BLOCK_CORRUPT", `A chunk of encoding ${encoding} is malformed`);
    this.#follow(mint, maxt);
    this.#addHash(sum.hash);
    const data = this.#memory.bytes.subarray(address, address + bytes);
    this.#chunks.push({ encoding, data, mint, maxt, sampleCount: sum.count });
  }

  #encode(count: number): void {
    const run = this.#run;
    let first = 0;
    for (const chunk of this.#encoder.encode(run.times, run.values, count)) {
      const mint = run.timeAt(first);
      first += chunk.sampleCount;
      this.#chunks.push({ ...chunk, mint, maxt: run.timeAt(first - 1) });
    }
    this.#hashSamples(run.times, run.values, count);
    run.dropFirst(count);
  }

  #hashSamples(times: number, values: number, count: number): void {
    this.#addHash(this.#memory.kernel.hashSamples(times, values, count, this.#seed));
  }

  #addHash(hash: bigint): void {
    this.#hash = BigInt.asUintN(64, this.#hash + hash);
  }

  /** What is merged comes in order of time, unless a chunk is not what its index says. */
  #follow(mint: number, maxt: number): void {
    if (mint <= this.#lastTime)
      throw new TsdbError("BLOCK_CORRUPT", `A chunk begins at ${mint} ms, which is not what its index says`);
    this.#lastTime = maxt;
  }
}
