/** A Vfs whose calls take time on a clock, so that a test decides what finishes before what. Blocking calls take none. */
import type { Clock } from "../../../src/base/clock.ts";
import type { Vfs } from "../../../src/base/vfs.ts";
import { interceptVfs, type VfsCall } from "./intercept.ts";

/** Each call is made after `delayMs(call)`, at once when that is 0. */
export function latencyVfs(inner: Vfs, clock: Clock, delayMs: (call: VfsCall) => number): Vfs {
  return interceptVfs(inner, {
    async async(call, run) {
      const delay = delayMs(call);
      if (delay > 0) await new Promise<void>((resume) => clock.after(delay, resume));
      return run();
    },
    sync: (_call, run) => run(),
  });
}
