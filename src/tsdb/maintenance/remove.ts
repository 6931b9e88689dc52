/** Removes blocks that no view has any more. */
import { blocksDirOf, removeBlocks } from "./block-dirs.ts";
import type { JobContext } from "./job-context.ts";
import type { JobOf, JobResults } from "./protocol.ts";

export async function remove({ ulids }: JobOf<"remove">, context: JobContext): Promise<JobResults["remove"]> {
  await removeBlocks(context.vfs, blocksDirOf(context), ulids);
}
