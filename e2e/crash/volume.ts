/**
 * Where the data of a crash test lies: a plain directory, or a small file system of its own whose power can be cut. The
 * cut is the file system's own shutdown call (XFS_IOC_GOINGDOWN, which ext4 knows too): from then on nothing reaches the
 * disk, and after the next mount all is gone that was not made durable before.
 */
import { spawnSync } from "node:child_process";
import { mkdirSync, rmSync } from "node:fs";
import { join } from "node:path";

export interface Volume {
  /** Exists, empty at first. */
  readonly dataDir: string;
  /** Cuts the power, blocking until it is off. Processes that use the files go on, and fail. */
  cut(): void;
  /** Brings the disk back after a cut, with what it kept. No process may use it. */
  restore(): void;
  /** Gives it back, data and all. */
  discard(): void;
}

export type FileSystem = "ext4" | "xfs";

export function plainVolume(dir: string): Volume {
  const dataDir = join(dir, "data");
  mkdirSync(dataDir);
  return {
    dataDir,
    cut: () => {
      throw new Error("Only a volume of its own can lose power");
    },
    restore() {},
    discard: () => rmSync(dataDir, { recursive: true }),
  };
}

/** XFS refuses to be smaller than 300 MB. */
const imageBytes: Readonly<Record<FileSystem, string>> = { ext4: "192M", xfs: "320M" };
/** ext4 writes its journal every 5 s by itself: too good for a test of what was not synced. */
const mountOptions: Readonly<Record<FileSystem, string>> = { ext4: "loop,commit=60", xfs: "loop" };

export function loopVolume(dir: string, type: FileSystem): Volume {
  const [image, mountPoint] = [join(dir, "disk.img"), join(dir, "disk")];
  mkdirSync(mountPoint);
  run("truncate", "-s", imageBytes[type], image);
  run(`mkfs.${type}`, "-q", ...(type === "ext4" ? ["-F"] : []), image);
  const mount = (): void => run("mount", "-t", type, "-o", mountOptions[type], image, mountPoint);
  mount();
  const dataDir = join(mountPoint, "data");
  mkdirSync(dataDir);
  // The directory itself belongs to whoever made the volume, and stays.
  run("sync", "-f", dataDir);
  return {
    dataDir,
    cut: () => run("xfs_io", "-x", "-c", "shutdown", mountPoint),
    restore() {
      run("umount", mountPoint);
      mount();
    },
    discard() {
      run("umount", mountPoint);
      rmSync(image);
      rmSync(mountPoint, { recursive: true });
    },
  };
}

function run(command: string, ...args: readonly string[]): void {
  const { status, stderr, error } = spawnSync(command, args, { encoding: "utf8" });
  if (status !== 0) throw new Error(`${command} ${args.join(" ")}: ${error?.message ?? stderr.trim()}`);
}
