/**
 * Kernel memory of a thread's own, to compute in: regions are reserved one behind the other and all forgotten at once when
 * the next piece of work begins. Queries decode and compute here, compaction merges and encodes. Linear memory grows and
 * never shrinks, so its owner throws it away when a piece of work has made it large.
 */
import { TsdbError } from "../../base/errors.ts";
import { PAGE_BYTES, PAGES_MAX, createMemory, instantiateKernel } from "./load.ts";
import type { KernelExports } from "./load.ts";

/** Address 0 means "none" to the kernel, and its tables lie behind it: the first page is not for regions. */
const FIRST_ADDRESS = PAGE_BYTES;

/** Regions begin at cache lines, so columns are aligned for typed arrays and SIMD. */
const ALIGNMENT = 64;

/** Grown by at least this much: growing is a system call. */
const GROWTH_PAGES = 16;

export class PrivateMemory {
  readonly kernel: KernelExports;
  readonly #memory: WebAssembly.Memory;
  #next = FIRST_ADDRESS;
  #bytes: Uint8Array;

  constructor(module: WebAssembly.Module) {
    this.#memory = createMemory(FIRST_ADDRESS / PAGE_BYTES);
    this.kernel = instantiateKernel(module, this.#memory);
    this.kernel.initTables();
    this.#bytes = new Uint8Array(this.#memory.buffer);
  }

  /** How much of the process this memory takes. */
  get sizeBytes(): number {
    return this.#memory.buffer.byteLength;
  }

  /** The whole memory, as of the last reserve. */
  get bytes(): Uint8Array {
    return this.#bytes;
  }

  /** Forgets all regions; what lies in them is overwritten from now on. */
  clear(): void {
    this.#next = FIRST_ADDRESS;
  }

  /**
   * @returns the address of `bytes` bytes, whose contents are anything
   * @throws TsdbError QUERY_LIMIT when 32 bits cannot address them
   */
  reserve(bytes: number): number {
    const address = this.#next;
    const end = address + Math.ceil(bytes / ALIGNMENT) * ALIGNMENT;
    // Codecs read a little past the end of what they are given.
    const missing = Math.ceil((end + ALIGNMENT - this.sizeBytes) / PAGE_BYTES);
    if (missing > 0) this.#grow(missing);
    this.#next = end;
    return address;
  }

  column(address: number, length: number): Float64Array<SharedArrayBuffer> {
    return new Float64Array(this.#memory.buffer, address, length);
  }

  #grow(pages: number): void {
    try {
      this.#memory.grow(Math.max(pages, Math.min(GROWTH_PAGES, PAGES_MAX - this.sizeBytes / PAGE_BYTES)));
    } catch (cause) {
      throw new TsdbError("QUERY_LIMIT", "Cannot compute in more memory than one thread can address, 4 GiB", {
        remedy: "Narrow the query: fewer series, a shorter range or a larger step",
        cause,
      });
    }
    this.#bytes = new Uint8Array(this.#memory.buffer);
  }
}
