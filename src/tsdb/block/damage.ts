/** Whether an error says that a block is damaged: then a query goes on without what it lost, and says so. */
import { TsdbError } from "../../base/errors.ts";

/** @returns the error, when it is of damage; @throws it, when it is anything else */
export function damageOf(error: unknown): TsdbError {
  if (error instanceof TsdbError && (error.code === "BLOCK_CORRUPT" || error.code === "CHUNK_CORRUPT")) return error;
  throw error;
}
