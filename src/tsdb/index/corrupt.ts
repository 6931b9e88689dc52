/** What reading a block throws when its bytes are not as they were written. */
import { errnoOf, TsdbError } from "../../base/errors.ts";

export class CorruptBlockError extends TsdbError {
  /** The file, with the directory of its block. */
  readonly path: string;
  readonly offsetBytes: number;
  /** What is wrong there, without file and offset. */
  readonly reason: string;

  constructor(path: string, offsetBytes: number, reason: string, cause?: unknown) {
    super("BLOCK_CORRUPT", `Cannot read ${path} at byte ${offsetBytes}: ${reason}`, {
      remedy: "Run `tsdb verify` to see what else is damaged; restore the block from a backup",
      cause,
    });
    this.path = path;
    this.offsetBytes = offsetBytes;
    this.reason = reason;
  }

  /** The disk failed to read it. That may pass: what was written may be there still, whole. */
  get isReadFailure(): boolean {
    return errnoOf(this.cause) === "EIO";
  }
}

/** @returns the error, when it says that a block is damaged; @throws it, when it says anything else */
export function damageOf(error: unknown): CorruptBlockError {
  if (error instanceof CorruptBlockError) return error;
  throw error;
}
