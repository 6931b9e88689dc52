/**
 * A file system in memory that forgets as a real one does.
 *
 * Contents are durable up to the last sync of the file (inode.ts), names up to the last syncDir of their directory: each
 * creation, removal and rename since then may be found kept or lost, in any combination, a rename always as one change.
 * A directory whose own name was lost takes with it all that lies in it. Nothing is kept that the contract in
 * src/base/vfs.ts does not promise; where file systems promise more (ext4 orders its journal), we assume less.
 *
 *   disk.crash({ keep: 0.5, random })   what is found after a power cut at this moment
 *   disk.kill()                         what is found after SIGKILL: all that was written, still not durable
 *
 * A file may have several names (link). The disk has room for `capacityBytes` of contents; a write that would need more
 * fails, and writes nothing.
 *
 * Crashes leave this disk as it is, so that handles of the "dead" database may go on without reaching the copy.
 */
import { basename, dirname, normalize } from "node:path/posix";
import type { OpenMode, Vfs, VfsFile, VfsSpace, VfsStat } from "../../../src/base/vfs.ts";
import { errnoError } from "./errno.ts";
import { type CrashChoice, Inode } from "./inode.ts";

/**
 * A change of names that no syncDir has made durable yet. A creation only adds, a removal only removes, a rename does both
 * and is found whole or not at all. It becomes durable with the directory it adds to, else with the one it removes from.
 */
interface NameChange {
  readonly removes?: Place;
  readonly adds?: Place & { readonly node: Node };
}

interface Place {
  readonly dir: Directory;
  readonly name: string;
}

interface Directory {
  readonly kind: "directory";
  entries: Map<string, Node>;
  durable: Map<string, Node>;
}

type Node = Inode | Directory;

const newDirectory = (): Directory => ({ kind: "directory", entries: new Map(), durable: new Map() });

/** How large an unlimited disk says it is. */
const UNLIMITED_BYTES = 2 ** 40;

export class MemoryVfs implements Vfs {
  /** May be changed at any time, below what is in use too. */
  capacityBytes = Number.POSITIVE_INFINITY;
  #root = newDirectory();
  #journal: NameChange[] = [];
  readonly #openPaths = new Map<object, string>();

  /** Paths of files that are open: what is left at the end of a test leaked. */
  get openPaths(): string[] {
    return [...this.#openPaths.values()].sort();
  }

  async open(path: string, mode: OpenMode): Promise<VfsFile> {
    if (mode !== "create") return this.#open(path, this.#file(path, "open"), mode);
    const { dir, name } = this.#parent(path, "open");
    if (dir.entries.has(name)) throw errnoError("EEXIST", "open", path);
    const inode = new Inode();
    this.#change({ adds: { dir, name, node: inode } });
    return this.#open(path, inode, mode);
  }

  openSync(path: string): VfsFile {
    return this.#open(path, this.#file(path, "open"), "read");
  }

  async list(dir: string): Promise<string[]> {
    return this.listSync(dir);
  }

  listSync(dir: string): string[] {
    return [...this.#directory(dir, "scandir").entries.keys()].sort();
  }

  async mkdir(dir: string): Promise<void> {
    let at = this.#root;
    for (const name of partsOf(dir)) {
      let next = at.entries.get(name);
      if (!next) this.#change({ adds: { dir: at, name, node: (next = newDirectory()) } });
      if (next.kind !== "directory") throw errnoError("ENOTDIR", "mkdir", dir);
      at = next;
    }
  }

  async exists(path: string): Promise<boolean> {
    return this.#find(path) !== undefined;
  }

  async stat(path: string): Promise<VfsStat | undefined> {
    const node = this.#find(path);
    if (!node) return undefined;
    return { kind: node.kind, sizeBytes: node.kind === "file" ? node.sizeBytes : 0 };
  }

  async space(path: string): Promise<VfsSpace> {
    if (!this.#find(path)) throw errnoError("ENOENT", "statfs", path);
    const totalBytes = Math.min(this.capacityBytes, UNLIMITED_BYTES);
    return { totalBytes, freeBytes: Math.max(0, totalBytes - this.#usedBytes()) };
  }

  async rename(from: string, to: string): Promise<void> {
    const source = this.#parent(from, "rename");
    const target = this.#parent(to, "rename");
    const node = source.dir.entries.get(source.name);
    if (!node) throw errnoError("ENOENT", "rename", from);
    const replaced = target.dir.entries.get(target.name);
    if (replaced === node) return;
    if (replaced && node.kind === "directory" && replaced.kind === "file") throw errnoError("ENOTDIR", "rename", to);
    if (replaced?.kind === "directory" && node.kind === "file") throw errnoError("EISDIR", "rename", to);
    if (replaced?.kind === "directory" && replaced.entries.size > 0) throw errnoError("ENOTEMPTY", "rename", to);
    this.#change({ removes: source, adds: { ...target, node } });
  }

  async remove(path: string): Promise<void> {
    const { dir, name } = this.#parent(path, "unlink");
    const node = dir.entries.get(name);
    if (!node) throw errnoError("ENOENT", "unlink", path);
    if (node.kind === "directory") throw errnoError("EISDIR", "unlink", path);
    this.#change({ removes: { dir, name } });
  }

  async link(from: string, to: string): Promise<void> {
    const node = this.#find(from);
    if (!node) throw errnoError("ENOENT", "link", from);
    if (node.kind === "directory") throw errnoError("EPERM", "link", from);
    const { dir, name } = this.#parent(to, "link");
    if (dir.entries.has(name)) throw errnoError("EEXIST", "link", to);
    this.#change({ adds: { dir, name, node } });
  }

  async removeDir(path: string): Promise<void> {
    const { dir, name } = this.#parent(path, "rmdir");
    if (this.#directory(path, "rmdir").entries.size > 0) throw errnoError("ENOTEMPTY", "rmdir", path);
    this.#change({ removes: { dir, name } });
  }

  async syncDir(path: string): Promise<void> {
    const dir = this.#directory(path, "fsync");
    const settled = this.#journal.filter((change) => (change.adds ?? change.removes)?.dir === dir);
    for (const change of settled) applyChange(change, (at) => at.durable);
    // What came in by rename has left its old place for good, even if its creation there was never made durable.
    const left = settled.flatMap(({ removes, adds }) => (removes && adds ? [{ ...removes, node: adds.node }] : []));
    this.#journal = this.#journal.filter(
      (change) =>
        !settled.includes(change) &&
        !left.some(({ dir: from, name, node }) => isSameEntry(change.adds, { dir: from, name, node })),
    );
  }

  /** The disk as a machine finds it after losing power now. The same choice gives the same disk. */
  crash(choice: CrashChoice): MemoryVfs {
    const names = new Map<Directory, Map<string, Node>>();
    const namesOf = (dir: Directory): Map<string, Node> => {
      let known = names.get(dir);
      if (!known) names.set(dir, (known = new Map(dir.durable)));
      return known;
    };
    for (const change of this.#journal)
      if (choice.random.chance(choice.keep)) applyChange(change, (dir) => namesOf(dir));
    const settled = new Map<Node, Node>();
    const settle = (node: Node): Node => {
      let found = settled.get(node);
      if (!found) settled.set(node, (found = node.kind === "file" ? node.afterCrash(choice) : settleDirectory(node)));
      return found;
    };
    const settleDirectory = (dir: Directory): Directory => {
      const entries = new Map([...namesOf(dir)].map(([name, node]) => [name, settle(node)]));
      return { kind: "directory", entries, durable: new Map(entries) };
    };
    const disk = new MemoryVfs();
    disk.capacityBytes = this.capacityBytes;
    disk.#root = settleDirectory(this.#root);
    return disk;
  }

  /** The disk as a new process finds it after this one was killed: everything is there, durable or not as it was. */
  kill(): MemoryVfs {
    const copies = new Map<Node, Node>();
    const copy = <T extends Node>(node: T): T => {
      const known = copies.get(node);
      if (known) return known as T;
      if (node.kind === "file") {
        const inode = node.copy();
        copies.set(node, inode);
        return inode as Node as T;
      }
      const dir = newDirectory();
      copies.set(node, dir);
      dir.entries = copyNames(node.entries);
      dir.durable = copyNames(node.durable);
      return dir as Node as T;
    };
    const copyNames = (names: Map<string, Node>): Map<string, Node> =>
      new Map([...names].map(([name, node]) => [name, copy(node)]));
    const disk = new MemoryVfs();
    disk.capacityBytes = this.capacityBytes;
    disk.#root = copy(this.#root);
    disk.#journal = this.#journal.map(({ removes, adds }) => ({
      ...(removes && { removes: { ...removes, dir: copy(removes.dir) } }),
      ...(adds && { adds: { ...adds, dir: copy(adds.dir), node: copy(adds.node) } }),
    }));
    return disk;
  }

  #change(change: NameChange): void {
    applyChange(change, (dir) => dir.entries);
    this.#journal.push(change);
  }

  /** What the contents of all files take, each counted once. */
  #usedBytes(): number {
    const counted = new Set<Node>();
    const count = (node: Node): number => {
      if (counted.has(node)) return 0;
      counted.add(node);
      if (node.kind === "file") return node.sizeBytes;
      return [...node.entries.values()].reduce((sum, entry) => sum + count(entry), 0);
    };
    return count(this.#root);
  }

  #open(path: string, inode: Inode, mode: OpenMode): MemoryFile {
    const file = new MemoryFile(path, inode, mode, {
      onGrow: (bytes) => {
        if (this.capacityBytes === Number.POSITIVE_INFINITY) return;
        if (this.#usedBytes() + bytes > this.capacityBytes) throw errnoError("ENOSPC", "write", path);
      },
      onClose: () => this.#openPaths.delete(file),
    });
    this.#openPaths.set(file, path);
    return file;
  }

  #find(path: string): Node | undefined {
    let at: Node | undefined = this.#root;
    for (const name of partsOf(path)) at = at?.kind === "directory" ? at.entries.get(name) : undefined;
    return at;
  }

  #file(path: string, syscall: string): Inode {
    const node = this.#find(path);
    if (!node) throw errnoError("ENOENT", syscall, path);
    if (node.kind === "directory") throw errnoError("EISDIR", syscall, path);
    return node;
  }

  #directory(path: string, syscall: string): Directory {
    const node = this.#find(path);
    if (!node) throw errnoError("ENOENT", syscall, path);
    if (node.kind === "file") throw errnoError("ENOTDIR", syscall, path);
    return node;
  }

  #parent(path: string, syscall: string): Place {
    return { dir: this.#directory(dirname(normalize(path)), syscall), name: basename(path) };
  }
}

interface MemoryFileEvents {
  /** Before the file grows; may throw. */
  readonly onGrow: (bytes: number) => void;
  readonly onClose: () => void;
}

/** An open file. */
export class MemoryFile implements VfsFile {
  readonly path: string;
  readonly #inode: Inode;
  readonly #mode: OpenMode;
  readonly #events: MemoryFileEvents;
  #open = true;

  constructor(path: string, inode: Inode, mode: OpenMode, events: MemoryFileEvents) {
    this.path = path;
    this.#inode = inode;
    this.#mode = mode;
    this.#events = events;
  }

  async write(data: Uint8Array, positionBytes: number): Promise<void> {
    this.#mustBeOpen("write", true);
    const growth = positionBytes + data.byteLength - this.#inode.sizeBytes;
    if (growth > 0) this.#events.onGrow(growth);
    this.#inode.write(data, positionBytes);
  }

  async read(into: Uint8Array, positionBytes: number): Promise<number> {
    return this.readSync(into, positionBytes);
  }

  readSync(into: Uint8Array, positionBytes: number): number {
    this.#mustBeOpen("read", false);
    return this.#inode.read(into, positionBytes);
  }

  async sync(): Promise<void> {
    this.#mustBeOpen("fdatasync", false);
    const done = this.#inode.beginSync();
    // Only what was written before the call is covered, and only once it returned.
    await Promise.resolve();
    done(true);
  }

  /** As a sync that fails: what was not durable may or may not be, and no later sync makes it so. */
  failSync(): void {
    this.#inode.beginSync()(false);
  }

  async truncate(sizeBytes: number): Promise<void> {
    this.#mustBeOpen("ftruncate", true);
    this.#inode.truncate(sizeBytes);
  }

  async sizeBytes(): Promise<number> {
    return this.sizeBytesSync();
  }

  sizeBytesSync(): number {
    this.#mustBeOpen("fstat", false);
    return this.#inode.sizeBytes;
  }

  async close(): Promise<void> {
    this.closeSync();
  }

  closeSync(): void {
    this.#mustBeOpen("close", false);
    this.#open = false;
    this.#events.onClose();
  }

  #mustBeOpen(syscall: string, writes: boolean): void {
    if (!this.#open || (writes && this.#mode === "read")) throw errnoError("EBADF", syscall, this.path);
  }
}

const partsOf = (path: string): string[] =>
  normalize(path)
    .split("/")
    .filter((part) => part !== "" && part !== ".");

/** Makes a change in the name tables that `names` gives. */
function applyChange({ removes, adds }: NameChange, names: (dir: Directory) => Map<string, Node>): void {
  if (removes) names(removes.dir).delete(removes.name);
  if (adds) names(adds.dir).set(adds.name, adds.node);
}

const isSameEntry = (a: (Place & { node: Node }) | undefined, b: Place & { node: Node }): boolean =>
  a?.dir === b.dir && a.name === b.name && a.node === b.node;
