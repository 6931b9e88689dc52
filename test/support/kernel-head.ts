/**
 * A head in the kernel's debug build, driven by its exports alone, with a disk of plain arrays: what the tests of the
 * kernel's tables hold against the twins.
 */
import { REJECT_REASONS } from "../../src/tsdb/head/rejections.ts";
import { ENCODING_DELETED, INGEST } from "../../src/tsdb/kernel/head-exports.ts";
import { HeadMemory } from "../../src/tsdb/kernel/head-memory.ts";
import { loadKernelModule } from "../../src/tsdb/kernel/load.ts";
import type { Matcher } from "../../src/tsdb/model/matcher.ts";
import { CHUNK_RAW, type RejectReason } from "../../src/tsdb/storage.ts";
import { merged, type TwinLimits } from "./head-twin.ts";
import type { ByteLabel, TwinSample } from "./remote-write-twin.ts";
import { CodecKernel } from "./codec-kernel.ts";

const debugModule = loadKernelModule({ debug: true });
const codec = new CodecKernel({ chunk: 4096, times: 8 * 128, values: 8 * 128 });

/** By the kernel's own decoder, which test/tsdb/kernel/xor-chunk.test.ts holds against its twin. */
export function decodeChunk(bytes: Uint8Array): TwinSample[] {
  const address = codec.put("chunk", bytes);
  const count = codec.kernel.xorDecode(address, bytes.length, codec.at("times"), codec.at("values"), 128);
  if (count < 0) throw new Error("a chunk is malformed");
  const times = new Float64Array(codec.take("times", count * 8).buffer);
  const values = new BigUint64Array(codec.take("values", count * 8).buffer);
  return Array.from(times, (time, i) => ({ timestampMs: BigInt(time), value: values[i]! }));
}

export interface KernelAnswer {
  readonly accepted: number;
  readonly duplicates: number;
  readonly rejected: ReadonlyMap<RejectReason, number>;
}

export interface SealedBlock {
  readonly fileIndex: number;
  readonly startOffset: number;
  readonly bytes: Uint8Array;
}

/** A chunk as gather points it out; its bytes are in place only while the slot stays pinned. */
export interface FoundChunk {
  readonly series: number;
  readonly encoding: number;
  readonly mint: number;
  readonly maxt: number;
  readonly bytes: Uint8Array;
}

/** What gather is asked for beside a range. */
export interface AsOf {
  /** In-order samples before it are none of the head's. */
  readonly floor?: number;
  /** Late samples and deletes of later records do not count. */
  readonly sequence?: number;
}

const EVERYTHING = Number.NEGATIVE_INFINITY;

export interface KernelHeadOptions {
  readonly module?: WebAssembly.Module;
  readonly limits: TwinLimits;
  readonly decodedBytesMax?: number;
  readonly memoryBytesMax?: number;
  readonly chunkFileBytesMax?: number;
  readonly walEnabled?: boolean;
  /** Of the memory; all of 4 GiB by default. */
  readonly pageCount?: number;
}

export class KernelHead {
  readonly memory: HeadMemory;
  /** Head chunk files by index, as far as they were written. */
  readonly files = new Map<number, Uint8Array>();

  constructor({ module = debugModule, limits, ...options }: KernelHeadOptions) {
    const decodedBytesMax = options.decodedBytesMax ?? 4 * 2 ** 20;
    const hashKeys = Uint8Array.from({ length: 16 }, (_, i) => i);
    const bytesMax = { bodyBytesMax: decodedBytesMax, decodedBytesMax };
    this.memory = HeadMemory.create(module, hashKeys, bytesMax, options.pageCount);
    const { at } = this.memory;
    this.memory.setI64(at.H_MEMORY_BYTES_MAX, options.memoryBytesMax ?? 2 ** 31);
    this.memory.setI64(at.H_RETENTION_MS, limits.retentionMs);
    this.memory.setI64(at.H_OUT_OF_ORDER_MS, limits.outOfOrderWindowMs ?? 0);
    this.memory.setU32(at.H_SERIES_PER_REQUEST_MAX, limits.seriesPerRequestMax);
    this.memory.setU32(at.H_LABELS_PER_SERIES_MAX, limits.labelsPerSeriesMax);
    this.memory.setU32(at.H_LABEL_NAME_BYTES_MAX, limits.labelNameBytesMax);
    this.memory.setU32(at.H_LABEL_VALUE_BYTES_MAX, limits.labelValueBytesMax);
    this.memory.setU32(at.H_CHUNK_FILE_BYTES_MAX, options.chunkFileBytesMax ?? 2 ** 20);
    this.memory.setU32(at.H_WAL_ENABLED, options.walEnabled === false ? 0 : 1);
  }

  get kernel(): HeadMemory["kernel"] {
    return this.memory.kernel;
  }

  /** @returns what became of it, or the INGEST code when nothing was done */
  ingest(message: Uint8Array, nowMs: number): KernelAnswer | number {
    const { memory } = this;
    const { at } = memory;
    memory.bytes.set(message, memory.u32(at.H_DECODED));
    const code = this.kernel.ingest(message.length, nowMs);
    if (code !== INGEST.ok) return code;
    const rejected = new Map<RejectReason, number>();
    for (const [i, reason] of REJECT_REASONS.entries()) {
      const count = memory.u32(at.REJECT_COUNTS + i * 4);
      if (reason !== undefined && count > 0) rejected.set(reason, count);
    }
    return { accepted: memory.u32(at.H_ACCEPTED), duplicates: memory.u32(at.H_DUPLICATES), rejected };
  }

  /** A copy of the records that have gathered, which go on in the other buffer. */
  takeRecords(): Uint8Array {
    const { memory } = this;
    const { at } = memory;
    const buffer = memory.u32(memory.u32(at.H_WAL_ACTIVE) === 0 ? at.H_WAL_BUFFER_0 : at.H_WAL_BUFFER_1);
    return memory.bytes.slice(buffer, buffer + (this.kernel.takeRecords() >>> 0));
  }

  get sequence(): number {
    return this.memory.i64(this.memory.at.H_WAL_SEQUENCE);
  }

  raiseFloor(beforeMs: number): void {
    const { at } = this.memory;
    if (beforeMs > this.memory.i64(at.H_FLOOR_MS)) this.memory.setI64(at.H_FLOOR_MS, beforeMs);
  }

  takeBlock(durableSequence: number, all: boolean): SealedBlock | undefined {
    const { memory } = this;
    const { at } = memory;
    const index = this.kernel.sealTake(BigInt(durableSequence), all ? 1 : 0);
    if (index < 0) return undefined;
    const block = at.SEAL_CONTROL + index * at.SEAL_BLOCK_SIZE;
    const data = this.kernel.sealBlockData(index) >>> 0;
    return {
      fileIndex: memory.u32(block + at.SEAL_BLOCK_FILE_INDEX),
      startOffset: memory.u32(block + at.SEAL_BLOCK_START_OFFSET),
      bytes: memory.bytes.slice(data, data + memory.u32(block + at.SEAL_BLOCK_USED_BYTES)),
    };
  }

  /** Brings every block that may go to its file. */
  flush(durableSequence: number, all: boolean): void {
    for (;;) {
      const block = this.takeBlock(durableSequence, all);
      if (block === undefined) return;
      this.writeBlock(block);
      this.kernel.sealRelease();
    }
  }

  writeBlock({ fileIndex, startOffset, bytes }: SealedBlock): void {
    const file = new Uint8Array(Math.max(this.files.get(fileIndex)?.length ?? 0, startOffset + bytes.length));
    file.set(this.files.get(fileIndex) ?? []);
    file.set(bytes, startOffset);
    this.files.set(fileIndex, file);
  }

  /** Series that match, by a matcher's own text: literals and plain regular expressions that JavaScript reads alike. */
  select(slot: number, matchers: readonly Matcher[], mint: number, maxt: number, floor = EVERYTHING): number[] {
    const { kernel, memory } = this;
    const refs = kernel.selectAll(slot, 0, kernel.refCount()) >>> 0;
    for (const { type, name, value } of matchers) {
      const pattern = new RegExp(`^(?:${value})$`);
      const isNegative = type === "!=" || type === "!~";
      const passes = (text: string): boolean => (type === "=" || type === "!=" ? text === value : pattern.test(text));
      // A label that is not there is empty: when the matcher takes that, only the series it does not take are known.
      const takesEmpty = passes("") !== isNegative;
      const ids = this.pairsOf(slot, name).filter((id) => passes(this.labelOf(id)[1]) === (takesEmpty === isNegative));
      memory.words.set(ids, kernel.listAddress(slot) >>> 2);
      kernel.selectUnion(slot, 0, refs, ids.length);
      kernel.selectApply(slot, refs, takesEmpty ? 1 : 0);
    }
    const found = kernel.selectCollect(slot, 0, refs) >>> 0;
    const kept = kernel.selectOverlapping(slot, found, mint, maxt, floor) >>> 0;
    const list = kernel.listAddress(slot) >>> 2;
    return Array.from(memory.words.subarray(list, list + kept));
  }

  /** Ids of the pairs of a name. */
  pairsOf(slot: number, name: string): number[] {
    const { kernel, memory } = this;
    const bytes = Buffer.from(name, "latin1");
    memory.bytes.set(bytes, kernel.keyAddress(slot) >>> 0);
    const nameId = kernel.lookupName(slot, bytes.length) >>> 0;
    if (nameId === 0) return [];
    const count = kernel.listPairs(slot, nameId - 1, 0) >>> 0;
    const list = kernel.listAddress(slot) >>> 2;
    return Array.from(memory.words.subarray(list, list + count));
  }

  labelOf(pair: number): ByteLabel {
    const { kernel, memory } = this;
    const text = (address: number, byteCount: number): string =>
      Buffer.from(memory.bytes.slice(address >>> 0, (address >>> 0) + (byteCount >>> 0))).toString("latin1");
    return [
      text(kernel.pairNameAddress(pair), kernel.pairNameBytes(pair)),
      text(kernel.pairValueAddress(pair), kernel.pairValueBytes(pair)),
    ];
  }

  labelsOf(ref: number): ByteLabel[] {
    const at = this.kernel.seriesPairs(ref) >>> 2;
    return Array.from(this.memory.words.slice(at, at + this.kernel.seriesPairCount(ref)), (pair) => this.labelOf(pair));
  }

  /** Chunks of the series that overlap the range; the slot must be pinned. */
  gather(slot: number, refs: readonly number[], mint: number, maxt: number, asOf: AsOf = {}): FoundChunk[] {
    const { kernel, memory } = this;
    const { at } = memory;
    const { floor = EVERYTHING, sequence = Number.POSITIVE_INFINITY } = asOf;
    const found: FoundChunk[] = [];
    memory.words.set(refs, kernel.listAddress(slot) >>> 2);
    for (let first = 0; first < refs.length;) {
      const gathered = kernel.gather(slot, first, refs.length - first, mint, maxt, floor, sequence);
      const records = kernel.recordsAddress(slot) >>> 0;
      for (let i = 0; i < Number(gathered & 0xffff_ffffn); i++) {
        const record = records + i * at.CHUNK_RECORD_SIZE;
        const dataBytes = memory.u32(record + at.CHUNK_RECORD_DATA_BYTES);
        const address = memory.u32(record + at.CHUNK_RECORD_ADDRESS);
        const offset = memory.u32(record + at.CHUNK_RECORD_OFFSET) + CHUNK_ENTRY_HEADER_BYTES;
        const file = this.files.get(memory.u32(record + at.CHUNK_RECORD_FILE_INDEX));
        if (address === 0 && dataBytes > 0 && file === undefined) {
          throw new Error("a chunk lies in a file that there is not");
        }
        found.push({
          series: memory.u32(record + at.CHUNK_RECORD_SERIES),
          encoding: memory.u32(record + at.CHUNK_RECORD_ENCODING),
          mint: memory.i64(record + at.CHUNK_RECORD_MINT),
          maxt: memory.i64(record + at.CHUNK_RECORD_MAXT),
          bytes:
            address === 0 ? (file ?? NOTHING).subarray(offset, offset + dataBytes) : memory.slice(address, dataBytes),
        });
      }
      if (gathered >> 32n === 0n) throw new Error("nothing was gathered");
      first += Number(gathered >> 32n);
    }
    return found;
  }

  /** The samples of the range, series by series, as a query would merge them. */
  samplesOf(slot: number, refs: readonly number[], mint: number, maxt: number, asOf: AsOf = {}): TwinSample[][] {
    const { floor = EVERYTHING } = asOf;
    const found = refs.map(() => ({
      encoded: [] as TwinSample[],
      late: [] as TwinSample[],
      deleted: [] as FoundChunk[],
    }));
    this.kernel.pin(slot);
    for (const chunk of this.gather(slot, refs, mint, maxt, asOf)) {
      const { encoded, late, deleted } = found[chunk.series]!;
      if (chunk.encoding === ENCODING_DELETED) deleted.push(chunk);
      else if (chunk.encoding === CHUNK_RAW) late.push(...samplesIn(chunk, decodeRaw));
      else encoded.push(...samplesIn(chunk, decodeChunk));
    }
    this.kernel.unpin(slot);
    return found.map(({ encoded, late, deleted }) => {
      const isThere = ({ timestampMs }: TwinSample): boolean =>
        Number(timestampMs) >= floor &&
        !deleted.some((del) => timestampMs >= BigInt(del.mint) && timestampMs <= BigInt(del.maxt));
      return merged(encoded.filter(isThere), late);
    });
  }
}

const NOTHING = new Uint8Array(0);

/** A chunk begins with the time that its record says, and does not reach beyond. */
function samplesIn(chunk: FoundChunk, decode: (bytes: Uint8Array) => TwinSample[]): TwinSample[] {
  const samples = decode(chunk.bytes);
  const isRight = Number(samples[0]?.timestampMs) === chunk.mint && Number(samples.at(-1)?.timestampMs) <= chunk.maxt;
  if (!isRight) throw new Error(`a chunk from ${chunk.mint} to ${chunk.maxt} has other times`);
  return samples;
}

/** count u32 | 4 B | times f64 | values (storage.ts, CHUNK_RAW). */
function decodeRaw(bytes: Uint8Array): TwinSample[] {
  const view = new DataView(bytes.slice().buffer);
  const count = view.getUint32(0, true);
  if (bytes.length !== 8 + 16 * count) throw new Error("a raw chunk has another length");
  return Array.from({ length: count }, (_, i) => ({
    timestampMs: BigInt(view.getFloat64(8 + 8 * i, true)),
    value: view.getBigUint64(8 + 8 * (count + i), true),
  }));
}

/** crc32c u32 | encoding and length u32 | ref u32 | mint i64 | span u32 (docs/format/head-chunks.md). */
export const CHUNK_ENTRY_HEADER_BYTES = 24;
