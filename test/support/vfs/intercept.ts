/**
 * A Vfs that lets a hook see, hold up or fail every call on its way to another Vfs. Faults, crash points and latency are
 * hooks; what they need to know about a call stands in VfsCall.
 */
import type { Vfs, VfsFile } from "../../../src/base/vfs.ts";

export const vfsOperations = [
  "open",
  "list",
  "mkdir",
  "exists",
  "stat",
  "space",
  "rename",
  "link",
  "remove",
  "removeDir",
  "syncDir",
  "write",
  "read",
  "sync",
  "truncate",
  "sizeBytes",
  "close",
] as const;
export type VfsOperation = (typeof vfsOperations)[number];

export interface VfsCall {
  readonly operation: VfsOperation;
  /** Of the file or directory; of a rename or link, the old name. */
  readonly path: string;
  /** Only of calls on an open file. */
  readonly file?: VfsFile;
  /** Only of a write. */
  readonly write?: { readonly data: Uint8Array; readonly positionBytes: number };
}

export interface VfsHook {
  /** Stands in for the call; `run` makes it. */
  async<T>(call: VfsCall, run: () => Promise<T>): Promise<T>;
  sync<T>(call: VfsCall, run: () => T): T;
}

export function interceptVfs(inner: Vfs, hook: VfsHook): Vfs {
  const file = (opened: VfsFile): VfsFile => interceptFile(opened, hook);
  return {
    open: async (path, mode) => file(await hook.async({ operation: "open", path }, () => inner.open(path, mode))),
    openSync: (path) => file(hook.sync({ operation: "open", path }, () => inner.openSync(path))),
    list: (path) => hook.async({ operation: "list", path }, () => inner.list(path)),
    listSync: (path) => hook.sync({ operation: "list", path }, () => inner.listSync(path)),
    mkdir: (path) => hook.async({ operation: "mkdir", path }, () => inner.mkdir(path)),
    exists: (path) => hook.async({ operation: "exists", path }, () => inner.exists(path)),
    stat: (path) => hook.async({ operation: "stat", path }, () => inner.stat(path)),
    space: (path) => hook.async({ operation: "space", path }, () => inner.space(path)),
    rename: (path, to) => hook.async({ operation: "rename", path }, () => inner.rename(path, to)),
    link: (path, to) => hook.async({ operation: "link", path }, () => inner.link(path, to)),
    remove: (path) => hook.async({ operation: "remove", path }, () => inner.remove(path)),
    removeDir: (path) => hook.async({ operation: "removeDir", path }, () => inner.removeDir(path)),
    syncDir: (path) => hook.async({ operation: "syncDir", path }, () => inner.syncDir(path)),
  };
}

/** What an intercepted file stands before. */
const inners = new WeakMap<VfsFile, VfsFile>();

/** The file itself, behind whatever intercepts it. */
export function innermost(file: VfsFile): VfsFile {
  let inner = file;
  for (let next = inners.get(inner); next; next = inners.get(inner)) inner = next;
  return inner;
}

function interceptFile(file: VfsFile, hook: VfsHook): VfsFile {
  const { path } = file;
  const intercepted: VfsFile = {
    path,
    write: (data, positionBytes) =>
      hook.async({ operation: "write", path, file, write: { data, positionBytes } }, () =>
        file.write(data, positionBytes),
      ),
    read: (into, positionBytes) => hook.async({ operation: "read", path, file }, () => file.read(into, positionBytes)),
    readSync: (into, positionBytes) =>
      hook.sync({ operation: "read", path, file }, () => file.readSync(into, positionBytes)),
    sync: () => hook.async({ operation: "sync", path, file }, () => file.sync()),
    truncate: (sizeBytes) => hook.async({ operation: "truncate", path, file }, () => file.truncate(sizeBytes)),
    sizeBytes: () => hook.async({ operation: "sizeBytes", path, file }, () => file.sizeBytes()),
    sizeBytesSync: () => hook.sync({ operation: "sizeBytes", path, file }, () => file.sizeBytesSync()),
    close: () => hook.async({ operation: "close", path, file }, () => file.close()),
    closeSync: () => hook.sync({ operation: "close", path, file }, () => file.closeSync()),
  };
  inners.set(intercepted, file);
  return intercepted;
}
