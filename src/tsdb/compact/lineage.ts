/** What a merged block's meta.json says of where it comes from. */
import type { BlockMeta } from "../block/meta.ts";

/** @param sources in the order in which their samples count */
export function lineageOf(sources: readonly BlockMeta[]): BlockMeta["compaction"] {
  const origins = new Set(
    sources.flatMap(({ ulid, compaction }) => (compaction.sources.length > 0 ? compaction.sources : [ulid])),
  );
  const [first, ...others] = sources.map(({ compaction }) => compaction.hints ?? []);
  // A hint says what all samples of a block are.
  const hints = first?.filter((hint) => others.every((list) => list.includes(hint))) ?? [];
  return {
    level: 1 + Math.max(...sources.map(({ compaction }) => compaction.level)),
    sources: [...origins].sort(),
    parents: sources.map(({ ulid, minTime, maxTime }) => ({ ulid, minTime, maxTime })),
    ...(hints.length > 0 && { hints }),
  };
}
