/**
 * Brings the kernel (dist/kernel.wasm, made by scripts/build-kernel.ts) into a thread. A kernel instance has no state of
 * its own: everything lies in the memory it is given, so several threads may attach to one memory, and one process may
 * hold several databases.
 */
import { readFileSync } from "node:fs";
import { TsdbError } from "../../base/errors.ts";
import type { CodecExports } from "./codec-exports.ts";
import type { HeadExports } from "./head-exports.ts";

/** Everything the kernel exports. Addresses and lengths are u32; those that come back may be negative: use `>>> 0`. */
export type KernelExports = CodecExports & HeadExports;

/** Bytes of one page of linear memory. */
export const PAGE_BYTES = 65_536;

/** Pages of a full 32-bit memory, 4 GiB. Reserved address space costs nothing until it is touched. */
export const PAGES_MAX = 65_536;

/** `debug` loads the build with canaries around every block and cell; it is several times slower. */
export function loadKernelModule({ debug = false } = {}): WebAssembly.Module {
  const path = debug
    ? new URL("../../../dist/kernel-debug.wasm", import.meta.url)
    : new URL("../../../dist/kernel.wasm", import.meta.url);
  try {
    return new WebAssembly.Module(readFileSync(path));
  } catch (cause) {
    throw new TsdbError("INTERNAL", `Cannot load the kernel ${path.pathname}`, {
      remedy: "Run `npm run build`, which compiles it",
      cause,
    });
  }
}

export function createMemory(initialPages: number): WebAssembly.Memory {
  try {
    return new WebAssembly.Memory({ initial: initialPages, maximum: PAGES_MAX, shared: true });
  } catch (cause) {
    throw new TsdbError("INTERNAL", "Cannot reserve address space for a memory of the kernel", {
      remedy: "Raise the limit on virtual memory (ulimit -v)",
      cause,
    });
  }
}

/** Attaches this thread to `memory`. */
export function instantiateKernel(module: WebAssembly.Module, memory: WebAssembly.Memory): KernelExports {
  const env = {
    memory,
    abort: () => {
      throw new TsdbError("INTERNAL", "The kernel stopped itself: one of its invariants does not hold");
    },
  };
  return new WebAssembly.Instance(module, { env }).exports as unknown as KernelExports;
}
