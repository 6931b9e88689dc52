/**
 * The memory that a query computes in: kernel memory of the worker's own, in which regions are reserved one behind the
 * other and all forgotten at once when the next query begins. Linear memory grows and never shrinks, so a worker throws it
 * away when a query has made it large (query/worker.ts).
 */
import { TsdbError } from "../../base/errors.ts";
import { PAGE_BYTES, createMemory, instantiateKernel } from "../kernel/load.ts";
import type { KernelExports } from "../kernel/load.ts";

/** Address 0 means "none" to the kernel, so the first page stays unused. */
const FIRST_ADDRESS = PAGE_BYTES;

/** Regions begin at cache lines, so columns are aligned for typed arrays and SIMD. */
const ALIGNMENT = 64;

/** Grown by at least this much: growing is a system call. */
const GROWTH_PAGES = 16;

export class QueryMemory {
  readonly kernel: KernelExports;
  readonly #memory: WebAssembly.Memory;
  #next = FIRST_ADDRESS;
  #bytes: Uint8Array;

  constructor(module: WebAssembly.Module) {
    this.#memory = createMemory(FIRST_ADDRESS / PAGE_BYTES);
    this.kernel = instantiateKernel(module, this.#memory);
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

  /** @returns the address of `bytes` bytes, whose contents are anything */
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
      throw new TsdbError("QUERY_LIMIT", "query needs more memory than a query worker can address", {
        remedy: "Narrow the query: fewer series, a shorter range or a larger step",
        cause,
      });
    }
    this.#bytes = new Uint8Array(this.#memory.buffer);
  }
}

/** 32 bits of addresses. */
const PAGES_MAX = 65_536;
