/**
 * A head's shared memory as TypeScript sees it: the kernel's functions, its constants, and views that follow the memory
 * as it grows. Both sides use it, the writer (HeadMemory.create) and query workers (HeadMemory.attach).
 */
import { assert } from "../../base/assert.ts";
import { TsdbError } from "../../base/errors.ts";
import { HEAD_CONSTANTS, type Constant, type HeadConstants } from "./head-exports.ts";
import { createMemory, instantiateKernel, type KernelExports } from "./load.ts";

export class HeadMemory {
  readonly module: WebAssembly.Module;
  readonly memory: WebAssembly.Memory;
  readonly kernel: KernelExports;
  readonly at: HeadConstants;
  #bytes: Uint8Array;
  #view: DataView;
  #words: Uint32Array;

  private constructor(module: WebAssembly.Module, memory: WebAssembly.Memory) {
    this.module = module;
    this.memory = memory;
    this.kernel = instantiateKernel(module, memory);
    const exports = this.kernel as unknown as Record<string, Constant>;
    this.at = Object.fromEntries(
      HEAD_CONSTANTS.map((name) => {
        const constant = exports[name];
        assert(constant !== undefined, `the kernel exports no ${name}`);
        return [name, constant.value >>> 0];
      }),
    ) as HeadConstants;
    this.#bytes = new Uint8Array(memory.buffer);
    this.#view = new DataView(memory.buffer);
    this.#words = new Uint32Array(memory.buffer);
  }

  /**
   * A new, empty head.
   * @param hashKeys 16 random bytes: with them nobody outside can make series collide
   */
  static create(
    module: WebAssembly.Module,
    hashKeys: Uint8Array,
    limits: { readonly bodyBytesMax: number; readonly decodedBytesMax: number },
  ): HeadMemory {
    const head = new HeadMemory(module, createMemory(4));
    const keys = new DataView(hashKeys.buffer, hashKeys.byteOffset, 16);
    const isMade = head.kernel.createHead(
      keys.getBigUint64(0),
      keys.getBigUint64(8),
      limits.bodyBytesMax,
      limits.decodedBytesMax,
    );
    if (isMade === 0) {
      throw new TsdbError("INTERNAL", "Cannot reserve address space for the head", {
        remedy: "Raise the limit on virtual memory (ulimit -v), or lower limits.max_decoded_size",
      });
    }
    return head;
  }

  static attach(module: WebAssembly.Module, memory: WebAssembly.Memory): HeadMemory {
    return new HeadMemory(module, memory);
  }

  /** All of the memory as it is now. Do not keep it over a call that may grow the memory. */
  get bytes(): Uint8Array {
    this.#follow();
    return this.#bytes;
  }

  /** As `bytes`, in u32; indexes are addresses >>> 2. */
  get words(): Uint32Array {
    this.#follow();
    return this.#words;
  }

  slice(address: number, length: number): Uint8Array {
    return this.bytes.subarray(address, address + length);
  }

  u32(address: number): number {
    return this.words[address >>> 2]!;
  }

  setU32(address: number, value: number): void {
    this.words[address >>> 2] = value;
  }

  /** A u64 or i64 that is known to fit a double. */
  i64(address: number): number {
    return Number(this.#viewNow().getBigInt64(address, true));
  }

  setI64(address: number, value: number): void {
    this.#viewNow().setBigInt64(address, BigInt(value), true);
  }

  f64(address: number): number {
    return this.#viewNow().getFloat64(address, true);
  }

  #viewNow(): DataView {
    this.#follow();
    return this.#view;
  }

  #follow(): void {
    const memoryBytes = this.kernel.memoryBytes();
    if (this.#bytes.length === memoryBytes) return;
    // When another thread has grown the memory, `buffer` goes on showing the old length for a while, although the kernel
    // in this thread already sees what was written behind it. Growing by nothing brings it up to date.
    if (this.memory.buffer.byteLength < memoryBytes) this.memory.grow(0);
    const { buffer } = this.memory;
    this.#bytes = new Uint8Array(buffer);
    this.#view = new DataView(buffer);
    this.#words = new Uint32Array(buffer);
  }
}
