/**
 * A head's shared memory as TypeScript sees it: the kernel's functions, its constants, and views. Both sides use it, the
 * writer (HeadMemory.create) and query workers (HeadMemory.attach).
 *
 * The memory has its whole size from the start; what is not touched costs nothing. It must not grow: V8 tells other
 * threads of a growth when they next look at interrupts, until then their views, and even bounds checks in their kernel
 * instances, end where the memory ended before.
 */
import { assert } from "../../base/assert.ts";
import { TsdbError } from "../../base/errors.ts";
import { HEAD_CONSTANTS, type Constant, type HeadConstants } from "./head-exports.ts";
import { createMemory, instantiateKernel, type KernelExports, PAGES_MAX } from "./load.ts";

export class HeadMemory {
  readonly module: WebAssembly.Module;
  readonly memory: WebAssembly.Memory;
  readonly kernel: KernelExports;
  readonly at: HeadConstants;
  readonly bytes: Uint8Array;
  /** As `bytes`, in u32; indexes are addresses >>> 2. */
  readonly words: Uint32Array;
  readonly #view: DataView;

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
    this.bytes = new Uint8Array(memory.buffer);
    this.words = new Uint32Array(memory.buffer);
    this.#view = new DataView(memory.buffer);
  }

  /**
   * A new, empty head.
   * @param hashKeys 16 random bytes: with them nobody outside can make series collide
   * @param pageCount its size; tests of full memories take less than all
   */
  static create(
    module: WebAssembly.Module,
    hashKeys: Uint8Array,
    limits: { readonly bodyBytesMax: number; readonly decodedBytesMax: number },
    pageCount = PAGES_MAX,
  ): HeadMemory {
    const head = new HeadMemory(module, createMemory(pageCount));
    const keys = new DataView(hashKeys.buffer, hashKeys.byteOffset, 16);
    const isMade = head.kernel.createHead(
      keys.getBigUint64(0),
      keys.getBigUint64(8),
      limits.bodyBytesMax,
      limits.decodedBytesMax,
    );
    if (isMade === 0) {
      throw new TsdbError("INTERNAL", "Cannot lay out the head: the limits leave no room for it in its memory", {
        remedy: "Lower limits.max_decoded_size or limits.max_body_size",
      });
    }
    return head;
  }

  static attach(module: WebAssembly.Module, memory: WebAssembly.Memory): HeadMemory {
    return new HeadMemory(module, memory);
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
    return Number(this.#view.getBigInt64(address, true));
  }

  setI64(address: number, value: number): void {
    this.#view.setBigInt64(address, BigInt(value), true);
  }

  f64(address: number): number {
    return this.#view.getFloat64(address, true);
  }
}
