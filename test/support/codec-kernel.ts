/**
 * The kernel's codecs on a small memory of their own. Every area that a codec may use lies between guards, whose bytes are
 * compared after each use: linear memory has no bounds checks of its own.
 */
import { createMemory, instantiateKernel, type KernelExports, loadKernelModule } from "../../src/tsdb/kernel/load.ts";

const GUARD_BYTES = 4096;
/** What decoders may read, and wide stores may touch, past the end of an area (SLACK_BYTES in assembly/layout.ts). */
const SLACK_BYTES = 64;
const GUARD = 0xa5;
/** The first page holds tables that the kernel computes; it is not for areas. */
const FIRST_AREA = 65_536;

interface Area {
  readonly address: number;
  readonly byteCount: number;
}

export class CodecKernel<Name extends string> {
  readonly kernel: KernelExports;
  readonly #bytes: Uint8Array;
  readonly #areas = new Map<string, Area>();
  readonly #end: number;

  /** @param areas their sizes in bytes, by name */
  constructor(areas: Readonly<Record<Name, number>>) {
    let end = FIRST_AREA + GUARD_BYTES;
    for (const [name, byteCount] of Object.entries<number>(areas)) {
      this.#areas.set(name, { address: end, byteCount });
      end = Math.ceil((end + byteCount + SLACK_BYTES) / 64) * 64 + GUARD_BYTES;
    }
    this.#end = end;
    const memory = createMemory(Math.ceil(end / 65_536) + 1);
    this.kernel = instantiateKernel(loadKernelModule({ debug: true }), memory);
    this.kernel.initTables();
    this.#bytes = new Uint8Array(memory.buffer);
    this.#bytes.fill(GUARD, FIRST_AREA, end);
  }

  at(name: Name): number {
    return this.#areas.get(name)!.address;
  }

  /** Fills an area with `bytes` and then with rubbish, as what stood there before. */
  put(name: Name, bytes: Uint8Array): number {
    const { address, byteCount } = this.#areas.get(name)!;
    if (bytes.length > byteCount) throw new RangeError(`${bytes.length} bytes do not fit the area ${name}`);
    this.#bytes.fill(GUARD, address, address + byteCount + SLACK_BYTES);
    this.#bytes.set(bytes, address);
    return address;
  }

  /** A copy of the first bytes of an area. */
  take(name: Name, byteCount: number): Uint8Array {
    return this.#bytes.slice(this.at(name), this.at(name) + byteCount);
  }

  /** @throws when anything outside the areas has changed */
  checkGuards(): void {
    let from = FIRST_AREA;
    for (const [name, { address, byteCount }] of this.#areas) {
      this.#checkGuard(from, address, `before ${name}`);
      from = address + byteCount + SLACK_BYTES;
    }
    this.#checkGuard(from, this.#end, "behind the last area");
  }

  #checkGuard(from: number, to: number, place: string): void {
    for (let i = from; i < to; i++) {
      if (this.#bytes[i] !== GUARD) throw new Error(`Byte ${i - from} of the guard ${place} was overwritten`);
    }
  }
}
