/** Reads every byte of a block and says what is damaged. Changes nothing. */
import { join } from "node:path/posix";
import { verifyBlock } from "../block/verify-block.ts";
import { PrivateMemory } from "../kernel/private-memory.ts";
import { blocksDirOf, sizeOfTree } from "./block-dirs.ts";
import type { JobContext } from "./job-context.ts";
import type { JobOf, JobResults } from "./protocol.ts";

export async function verify({ ulid }: JobOf<"verify">, context: JobContext): Promise<JobResults["verify"]> {
  const { vfs, module, check, progress } = context;
  const dir = join(blocksDirOf(context), ulid);
  const total = await sizeOfTree(vfs, dir);
  let done = 0;
  return verifyBlock({
    vfs,
    dir,
    memory: new PrivateMemory(module),
    check,
    onRead: (bytes) => progress({ done: Math.min(total, (done += bytes)), total, unit: "bytes" }),
  });
}
