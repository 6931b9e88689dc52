/**
 * The one door to the file system. The database reaches its files only through a Vfs that it is handed: the real one
 * here, and in tests one that fails the n-th call or forgets what was never synced (test/support/vfs/).
 *
 * What may be relied on after a crash: file contents up to the last `sync` of that file, and directory entries up to the
 * last `syncDir` of that directory. Nothing else: neither order nor all-or-nothing of anything unsynced.
 *
 * Async calls run in Node's thread pool and are what the main thread uses; the sync ones are for query and maintenance
 * workers and the command line. Buffers may be views of shared kernel memory. Positions are byte offsets from the start of the file.
 */
import {
  closeSync,
  constants,
  fdatasync,
  fstat,
  fstatSync,
  fsync,
  ftruncate,
  open,
  openSync,
  read,
  readdirSync,
  readSync,
  write,
} from "node:fs";
import * as fs from "node:fs/promises";
import { promisify } from "node:util";
import { errnoOf, TsdbError } from "./errors.ts";

export interface VfsFile {
  readonly path: string;
  /** Writes all of `data` at `positionBytes`, however many system calls that takes. Resolves only when all is written. */
  write(data: Uint8Array, positionBytes: number): Promise<void>;
  /** Fills `into` from `positionBytes`; resolves with the byte count, short only at the end of the file. */
  read(into: Uint8Array, positionBytes: number): Promise<number>;
  /** As `read`, blocking. */
  readSync(into: Uint8Array, positionBytes: number): number;
  /** fdatasync: contents and size are durable once this resolves. After a rejection nothing may be assumed, ever. */
  sync(): Promise<void>;
  truncate(sizeBytes: number): Promise<void>;
  sizeBytes(): Promise<number>;
  /** As `sizeBytes`, blocking. */
  sizeBytesSync(): number;
  close(): Promise<void>;
  closeSync(): void;
}

/** read: must exist; write: must exist, read and write; create: must not exist, read and write. */
export type OpenMode = "read" | "write" | "create";

export interface VfsStat {
  readonly kind: "file" | "directory";
  /** Of a file's contents; 0 for a directory. */
  readonly sizeBytes: number;
}

/** Of a volume. */
export interface VfsSpace {
  readonly totalBytes: number;
  /** What we may still write: less than what is unused, where the system keeps a reserve for its administrator. */
  readonly freeBytes: number;
}

export interface Vfs {
  open(path: string, mode: OpenMode): Promise<VfsFile>;
  /** Opens for reading, blocking. */
  openSync(path: string): VfsFile;
  /** Names (not paths) in a directory, sorted by code unit. */
  list(dir: string): Promise<string[]>;
  /** As `list`, blocking. */
  listSync(dir: string): string[];
  /** Creates the directory and its missing parents. */
  mkdir(dir: string): Promise<void>;
  exists(path: string): Promise<boolean>;
  /** What a path names; undefined when it names nothing. */
  stat(path: string): Promise<VfsStat | undefined>;
  /** The space of the volume on which a file or directory lies. */
  space(path: string): Promise<VfsSpace>;
  /** Of a file, over another or a new name; or of a directory, to a name that is new. */
  rename(from: string, to: string): Promise<void>;
  /** Gives a file a second name on the same volume (a hard link). The new name must not exist. */
  link(from: string, to: string): Promise<void>;
  /** Removes a name of a file; its contents go with the last name and open handle. */
  remove(path: string): Promise<void>;
  /** Removes a directory, which must be empty. */
  removeDir(dir: string): Promise<void>;
  /** fsync of a directory: its entries (created, renamed, removed names) are durable once this resolves. */
  syncDir(dir: string): Promise<void>;
}

const openAsync = promisify(open);
const readAsync = promisify(read);
const writeAsync = promisify(write);
const fdatasyncAsync = promisify(fdatasync);
const fsyncAsync = promisify(fsync);
const fstatAsync = promisify(fstat);
const ftruncateAsync = promisify(ftruncate);

const openFlags: Record<OpenMode, number> = {
  read: constants.O_RDONLY,
  write: constants.O_RDWR,
  create: constants.O_RDWR | constants.O_CREAT | constants.O_EXCL,
};

class RealFile implements VfsFile {
  readonly path: string;
  readonly #fd: number;

  constructor(path: string, fd: number) {
    this.path = path;
    this.#fd = fd;
  }

  async write(data: Uint8Array, positionBytes: number): Promise<void> {
    let done = 0;
    while (done < data.byteLength) {
      const { bytesWritten } = await writeAsync(this.#fd, data, done, data.byteLength - done, positionBytes + done);
      // A file-size limit or a full disk may accept nothing without an error; looping on that would never end.
      if (bytesWritten === 0) throw new TsdbError("IO", `Cannot write ${this.path}: the system accepted 0 bytes`);
      done += bytesWritten;
    }
  }

  async read(into: Uint8Array, positionBytes: number): Promise<number> {
    let done = 0;
    while (done < into.byteLength) {
      const { bytesRead } = await readAsync(this.#fd, into, done, into.byteLength - done, positionBytes + done);
      if (bytesRead === 0) break;
      done += bytesRead;
    }
    return done;
  }

  readSync(into: Uint8Array, positionBytes: number): number {
    let done = 0;
    while (done < into.byteLength) {
      const bytesRead = readSync(this.#fd, into, done, into.byteLength - done, positionBytes + done);
      if (bytesRead === 0) break;
      done += bytesRead;
    }
    return done;
  }

  sync = (): Promise<void> => fdatasyncAsync(this.#fd);
  truncate = (sizeBytes: number): Promise<void> => ftruncateAsync(this.#fd, sizeBytes);
  sizeBytes = async (): Promise<number> => (await fstatAsync(this.#fd)).size;
  sizeBytesSync = (): number => fstatSync(this.#fd).size;
  // Closed synchronously: a close that waits in the thread pool behind slow writes would hold up the shutdown.
  close = async (): Promise<void> => closeSync(this.#fd);
  closeSync = (): void => closeSync(this.#fd);
}

export const realVfs: Vfs = {
  open: async (path, mode) => new RealFile(path, await openAsync(path, openFlags[mode], 0o640)),
  openSync: (path) => new RealFile(path, openSync(path, constants.O_RDONLY)),
  list: async (dir) => (await fs.readdir(dir)).sort(),
  listSync: (dir) => readdirSync(dir).sort(),
  mkdir: async (dir) => void (await fs.mkdir(dir, { recursive: true, mode: 0o750 })),
  exists: (path) =>
    fs.access(path).then(
      () => true,
      () => false,
    ),
  async stat(path) {
    try {
      const found = await fs.stat(path);
      return found.isDirectory() ? { kind: "directory", sizeBytes: 0 } : { kind: "file", sizeBytes: found.size };
    } catch (cause) {
      if (errnoOf(cause) === "ENOENT") return undefined;
      throw cause;
    }
  },
  async space(path) {
    const { bsize, blocks, bavail } = await fs.statfs(path);
    return { totalBytes: blocks * bsize, freeBytes: bavail * bsize };
  },
  rename: (from, to) => fs.rename(from, to),
  link: (from, to) => fs.link(from, to),
  remove: (path) => fs.unlink(path),
  removeDir: (dir) => fs.rmdir(dir),
  async syncDir(dir) {
    const fd = openSync(dir, constants.O_RDONLY);
    try {
      await fsyncAsync(fd);
    } finally {
      closeSync(fd);
    }
  },
};
