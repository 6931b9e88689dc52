/** Failed system calls, as Node reports them. */
import { constants } from "node:os";

export type Errno = keyof typeof constants.errno;

export function errnoError(code: Errno, syscall: string, path: string): NodeJS.ErrnoException {
  const error: NodeJS.ErrnoException = new Error(`${code}: injected or simulated failure, ${syscall} '${path}'`);
  return Object.assign(error, { code, errno: -constants.errno[code], syscall, path });
}
