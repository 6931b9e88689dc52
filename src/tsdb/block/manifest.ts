/**
 * A block's manifest.json, our own beside Prometheus' files: what each file was when it was written, and how many samples
 * there are, with their hash. A block that Prometheus wrote has none. Tombstones are not in it: they are replaced while the
 * block stays, and have a checksum.
 */
import * as z from "zod";
import { isUlid } from "../model/ulid.ts";

export interface Manifest {
  readonly version: 1;
  readonly ulid: string;
  readonly files: readonly ManifestFile[];
  readonly samples: SampleSum;
  /** Of its chunks, each once, ascending: whether Prometheus can read them. */
  readonly encodings: readonly number[];
}

export interface ManifestFile {
  /** Under the block's directory. */
  readonly path: string;
  readonly sizeBytes: number;
  /** In hexadecimal. */
  readonly sha256: string;
}

/** Tells sets of samples apart: their number, and the sum of their hashes (kernel/assembly/hash-samples.ts). */
export interface SampleSum {
  readonly count: number;
  /** 16 hexadecimal digits. */
  readonly hash: string;
}

export const hashText = (hash: bigint): string => BigInt.asUintN(64, hash).toString(16).padStart(16, "0");

const schema = z.object({
  version: z.literal(1),
  ulid: z.string().refine(isUlid, "not a ULID"),
  files: z.array(
    z.object({
      path: z.string().regex(/^(meta\.json|index|chunks\/\d{6,})$/),
      sizeBytes: z.int().nonnegative(),
      sha256: z.string().regex(/^[0-9a-f]{64}$/),
    }),
  ),
  samples: z.object({ count: z.int().nonnegative(), hash: z.string().regex(/^[0-9a-f]{16}$/) }),
  encodings: z.array(z.int().min(0).max(255)),
});

/** @throws Error whose message says what is wrong */
export function decodeManifest(text: string): Manifest {
  const parsed = schema.safeParse(JSON.parse(text));
  if (!parsed.success) throw new Error(z.prettifyError(parsed.error));
  return parsed.data;
}

export const encodeManifest = (manifest: Manifest): string => JSON.stringify(manifest, undefined, "\t");
