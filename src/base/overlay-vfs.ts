/**
 * A Vfs that leaves the disk as it is: whatever is written, renamed or removed happens in a scratch directory, and reads see
 * the result. Code that puts files in order when it opens them can so be run on files that must not change.
 *
 * Every path is in one of three states: as the disk has it; another file stands for it (one in the scratch directory, or,
 * after a rename, one of the disk under its old name); or gone. A file of the disk is copied when it is first opened for
 * writing. Nothing is durable.
 */
import { basename, dirname, join } from "node:path/posix";
import { copyFile } from "./copy-file.ts";
import type { OpenMode, Vfs, VfsFile, VfsSpace, VfsStat } from "./vfs.ts";

type Entry =
  | { readonly kind: "file"; readonly path: string; readonly isScratch: boolean }
  | { readonly kind: "directory" }
  | { readonly kind: "gone" };

export class OverlayVfs implements Vfs {
  readonly #disk: Vfs;
  readonly #scratchDir: string;
  readonly #entries = new Map<string, Entry>();
  #scratchFiles = 0;

  /** @param scratchDir exists, and is none of the paths that are asked for */
  constructor(disk: Vfs, scratchDir: string) {
    this.#disk = disk;
    this.#scratchDir = scratchDir;
  }

  async open(path: string, mode: OpenMode): Promise<VfsFile> {
    if (mode === "read") return this.#disk.open(await this.#place(path), "read");
    const entry = this.#entries.get(path);
    if (mode === "create") {
      if (await this.exists(path)) throw errnoError("EEXIST", path);
      const file = await this.#disk.open(this.#newScratch(path), "create");
      return file;
    }
    if (entry?.kind === "file" && entry.isScratch) return this.#disk.open(entry.path, "write");
    const from = await this.#place(path);
    const to = this.#newScratch(path);
    await copyFile(this.#disk, from, to);
    return this.#disk.open(to, "write");
  }

  openSync(path: string): VfsFile {
    const entry = this.#entries.get(path);
    if (entry?.kind === "gone" || this.#isInGone(path)) throw errnoError("ENOENT", path);
    return this.#disk.openSync(entry?.kind === "file" ? entry.path : path);
  }

  async list(dir: string): Promise<string[]> {
    const isMade = this.#entries.get(dir)?.kind === "directory";
    if (!isMade && !(await this.exists(dir))) throw errnoError("ENOENT", dir);
    return this.#merged(dir, isMade && !(await this.#disk.exists(dir)) ? [] : await this.#disk.list(dir));
  }

  listSync(dir: string): string[] {
    const entry = this.#entries.get(dir);
    if (entry?.kind === "gone" || this.#isInGone(dir)) throw errnoError("ENOENT", dir);
    if (entry?.kind !== "directory") return this.#merged(dir, this.#disk.listSync(dir));
    try {
      return this.#merged(dir, this.#disk.listSync(dir));
    } catch {
      // Made here, and nowhere else.
      return this.#merged(dir, []);
    }
  }

  async mkdir(dir: string): Promise<void> {
    if (await this.exists(dir)) return;
    if (dirname(dir) !== dir) await this.mkdir(dirname(dir));
    this.#entries.set(dir, { kind: "directory" });
  }

  async exists(path: string): Promise<boolean> {
    return (await this.stat(path)) !== undefined;
  }

  async stat(path: string): Promise<VfsStat | undefined> {
    const entry = this.#entries.get(path);
    if (entry?.kind === "gone") return undefined;
    if (entry?.kind === "directory") return { kind: "directory", sizeBytes: 0 };
    if (entry?.kind === "file") return this.#disk.stat(entry.path);
    return this.#isInGone(path) ? undefined : this.#disk.stat(path);
  }

  space(): Promise<VfsSpace> {
    return this.#disk.space(this.#scratchDir);
  }

  async rename(from: string, to: string): Promise<void> {
    const found = await this.stat(from);
    if (found === undefined) throw errnoError("ENOENT", from);
    if (from === to) return;
    if (found.kind === "file") {
      const place = await this.#place(from);
      const entry = this.#entries.get(from);
      this.#entries.set(to, { kind: "file", path: place, isScratch: entry?.kind === "file" && entry.isScratch });
    } else {
      this.#entries.set(to, { kind: "directory" });
      for (const name of await this.list(from)) await this.rename(join(from, name), join(to, name));
    }
    this.#entries.set(from, { kind: "gone" });
  }

  async link(from: string, to: string): Promise<void> {
    if (await this.exists(to)) throw errnoError("EEXIST", to);
    // A copy: what is written to a second name of a file would be written to the file.
    await copyFile(this.#disk, await this.#place(from), this.#newScratch(to));
  }

  async remove(path: string): Promise<void> {
    if ((await this.stat(path))?.kind !== "file") throw errnoError("ENOENT", path);
    this.#entries.set(path, { kind: "gone" });
  }

  async removeDir(dir: string): Promise<void> {
    if ((await this.list(dir)).length > 0) throw errnoError("ENOTEMPTY", dir);
    this.#entries.set(dir, { kind: "gone" });
  }

  async syncDir(): Promise<void> {}

  /** Where a file is that must be there. */
  async #place(path: string): Promise<string> {
    if ((await this.stat(path)) === undefined) throw errnoError("ENOENT", path);
    const entry = this.#entries.get(path);
    return entry?.kind === "file" ? entry.path : path;
  }

  #newScratch(path: string): string {
    const place = join(this.#scratchDir, `${this.#scratchFiles++}-${basename(path)}`);
    this.#entries.set(path, { kind: "file", path: place, isScratch: true });
    return place;
  }

  /** Whether a directory that it lies in is gone: what the disk has below that does not count. */
  #isInGone(path: string): boolean {
    for (let dir = dirname(path); ; dir = dirname(dir)) {
      const entry = this.#entries.get(dir);
      if (entry !== undefined) return entry.kind === "gone";
      if (dir === dirname(dir)) return false;
    }
  }

  #merged(dir: string, onDisk: readonly string[]): string[] {
    const names = new Set(onDisk);
    for (const [path, { kind }] of this.#entries) {
      if (dirname(path) !== dir || path === dir) continue;
      if (kind === "gone") names.delete(basename(path));
      else names.add(basename(path));
    }
    return [...names].sort();
  }
}

const errnoError = (code: string, path: string): Error => Object.assign(new Error(`${code}: ${path}`), { code });
