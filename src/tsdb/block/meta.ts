/** A block's meta.json, as Prometheus writes and reads it. Fields that others add (Thanos does) are left unread. */
import * as z from "zod";
import { isUlid } from "../model/ulid.ts";

export interface BlockMeta {
  readonly ulid: string;
  /** ms; maxTime is exclusive. */
  readonly minTime: number;
  readonly maxTime: number;
  readonly stats: {
    readonly numSamples: number;
    readonly numSeries: number;
    readonly numChunks: number;
    readonly numTombstones?: number | undefined;
  };
  readonly compaction: {
    /** 1: made from the head; merges count one more than the highest of their sources. */
    readonly level: number;
    /** ULIDs of the level 1 blocks that went into it. */
    readonly sources: readonly string[];
    readonly parents?:
      | readonly { readonly ulid: string; readonly minTime: number; readonly maxTime: number }[]
      | undefined;
    readonly hints?: readonly string[] | undefined;
  };
  readonly version: 1;
}

const ulid = z.string().refine(isUlid, "not a ULID");
const count = z.int().nonnegative();

const schema = z.object({
  ulid,
  minTime: z.int(),
  maxTime: z.int(),
  // Go leaves out what is zero or empty.
  stats: z
    .object({
      numSamples: count.default(0),
      numSeries: count.default(0),
      numChunks: count.default(0),
      numTombstones: count.optional(),
    })
    .default({ numSamples: 0, numSeries: 0, numChunks: 0 }),
  compaction: z.object({
    level: z.int().positive(),
    sources: z.array(ulid).default([]),
    parents: z.array(z.object({ ulid, minTime: z.int(), maxTime: z.int() })).optional(),
    hints: z.array(z.string()).optional(),
  }),
  version: z.literal(1),
});

/** @throws Error whose message says what is wrong */
export function decodeMeta(text: string): BlockMeta {
  const parsed = schema.safeParse(JSON.parse(text));
  if (!parsed.success) throw new Error(z.prettifyError(parsed.error));
  if (parsed.data.minTime > parsed.data.maxTime) throw new Error("minTime is after maxTime");
  return parsed.data;
}

export const encodeMeta = (meta: BlockMeta): string => JSON.stringify(meta, undefined, "\t");
