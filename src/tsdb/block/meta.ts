/** A block's meta.json, as Prometheus writes and reads it. */

export interface BlockMeta {
  readonly ulid: string;
  /** ms; maxTime is exclusive. */
  readonly minTime: number;
  readonly maxTime: number;
  readonly stats: {
    readonly numSamples: number;
    readonly numSeries: number;
    readonly numChunks: number;
    readonly numTombstones?: number;
  };
  readonly compaction: {
    /** 1: made from the head; merges count one more than the highest of their sources. */
    readonly level: number;
    /** ULIDs of the level 1 blocks that went into it. */
    readonly sources: readonly string[];
    readonly parents?: readonly { readonly ulid: string; readonly minTime: number; readonly maxTime: number }[];
    readonly hints?: readonly string[];
  };
  readonly version: 1;
}
