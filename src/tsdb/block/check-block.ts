/** Looks at a block as it is on disk: does it have the samples that it should have? Asked before its sources are dropped. */
import { basename } from "node:path/posix";
import type { Vfs } from "../../base/vfs.ts";
import { CorruptBlockError } from "../index/corrupt.ts";
import type { PageCache } from "../index/page-cache.ts";
import type { PrivateMemory } from "../kernel/private-memory.ts";
import { MANIFEST_FILE } from "./block-files.ts";
import { BlockReader } from "./block-reader.ts";
import { chunkFileOf, chunkOffsetOf } from "./chunk-file-format.ts";
import { hashText, type SampleSum } from "./manifest.ts";
import { walkSamples } from "./walk-samples.ts";

export interface CheckOptions {
  readonly vfs: Vfs;
  readonly dir: string;
  readonly cache: PageCache;
  readonly memory: PrivateMemory;
  /** Called often; may throw, when it was long enough. */
  readonly check: () => void;
}

/**
 * Opens a block anew, decodes all of its samples, and compares their number and hash with what was meant to be written.
 * @throws CorruptBlockError
 */
export function checkBlock(options: CheckOptions, expected: SampleSum): void {
  const block = BlockReader.open(options.vfs, options.dir, options.cache);
  try {
    const found = sumBlock(block, options);
    if (found.count === expected.count && found.hash === expected.hash) return;
    const reason = `it has ${found.count} samples with hash ${found.hash} instead of ${expected.count} with ${expected.hash}`;
    throw new CorruptBlockError(`${options.dir}/${MANIFEST_FILE}`, 0, `block ${basename(options.dir)}: ${reason}`);
  } finally {
    block.close();
  }
}

/** Counts and hashes all samples of a block, deleted ones too. @throws CorruptBlockError for whatever is damaged */
export function sumBlock(block: BlockReader, { memory, check }: Pick<CheckOptions, "memory" | "check">): SampleSum {
  let count = 0;
  let hash = 0n;
  walkSamples(block, memory, {
    chunk(samples, chunkHash, ref, fault) {
      if (fault !== undefined)
        throw new CorruptBlockError(block.chunks.path(chunkFileOf(ref)), chunkOffsetOf(ref), fault);
      count += samples;
      hash += chunkHash;
    },
    damage: (error) => {
      throw error;
    },
    seriesDamage: (error) => {
      throw error;
    },
    check,
  });
  return { count, hash: hashText(hash) };
}
