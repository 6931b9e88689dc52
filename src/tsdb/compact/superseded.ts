/**
 * Blocks whose samples are in another block, too: what a crash leaves when it comes between a merge and the removal of its
 * sources. They must not come back, because what was deleted since was only deleted in the merged block.
 */
import type { BlockMeta } from "../block/meta.ts";

/**
 * ULIDs of the blocks that others stand for: those that another names as its parent, and those all of whose sources went
 * into one of a higher level (its parent may be gone already).
 */
export function supersededBlocks(blocks: readonly BlockMeta[]): Set<string> {
  const parents = new Set<string>();
  const withSource = new Map<string, BlockMeta[]>();
  for (const block of blocks) {
    // A child is younger: two that name each other must not both go.
    for (const { ulid } of block.compaction.parents ?? []) if (ulid < block.ulid) parents.add(ulid);
    for (const source of block.compaction.sources) {
      const known = withSource.get(source);
      if (known === undefined) withSource.set(source, [block]);
      else known.push(block);
    }
  }
  const isSuperseded = ({ ulid, compaction }: BlockMeta): boolean => {
    const [first, ...others] = compaction.sources;
    const heirs = first === undefined ? [] : withSource.get(first)!;
    return parents.has(ulid) || heirs.some((heir) => heir.compaction.level > compaction.level && hasAll(heir, others));
  };
  return new Set(blocks.filter(isSuperseded).map(({ ulid }) => ulid));
}

const hasAll = ({ compaction }: BlockMeta, sources: readonly string[]): boolean =>
  sources.every((source) => compaction.sources.includes(source));
