/**
 * Where the data of a crash test lies: a plain directory, or a small file system of its own whose power can be cut. The
 * cut is the file system's own shutdown call (XFS_IOC_GOINGDOWN, which ext4 knows too): from then on nothing reaches the
 * disk, and after the next mount all is gone that was not made durable before.
 */
import { spawnSync } from "node:child_process";
import { closeSync, mkdirSync, openSync, rmSync, statfsSync, writeSync } from "node:fs";
import { join } from "node:path";

export interface Volume {
  /** Exists, empty at first. */
  readonly dataDir: string;
  /** Cuts the power, blocking until it is off. Processes that use the files go on, and fail. */
  cut(): void;
  /** Brings the disk back after a cut, with what it kept. No process may use it. */
  restore(): void;
  /** Whether it can be made larger while it is mounted. */
  readonly canGrow: boolean;
  /** Takes all of its space but `leftBytes`. */
  fill(leftBytes: number): void;
  /** Gives back what `fill` took: by making room, or by making the volume larger. */
  relieve(how: "free" | "grow"): void;
  /** Gives it back, data and all. */
  discard(): void;
}

export type FileSystem = "ext4" | "xfs";

export function plainVolume(dir: string): Volume {
  const dataDir = join(dir, "data");
  mkdirSync(dataDir);
  return {
    dataDir,
    canGrow: false,
    cut: () => {
      throw new Error("Only a volume of its own can lose power");
    },
    restore() {},
    fill: () => {
      throw new Error("Only a volume of its own can be filled");
    },
    relieve() {},
    discard: () => rmSync(dataDir, { recursive: true }),
  };
}

/** XFS refuses to be smaller than 300 MB. */
const imageBytes: Readonly<Record<FileSystem, string>> = { ext4: "192M", xfs: "320M" };
/** What a volume that is made larger gets: more than any reserve. */
const GROWTH = "192M";
/** More than a server writes between a look at the free space and the file that takes it. */
const TAKEN_MEANWHILE_BYTES = 8 * 1024 * 1024;
/** ext4 writes its journal every 5 s by itself: too good for a test of what was not synced. */
const mountOptions: Readonly<Record<FileSystem, string>> = { ext4: "loop,commit=60", xfs: "loop" };

export function loopVolume(dir: string, type: FileSystem): Volume {
  const [image, mountPoint] = [join(dir, "disk.img"), join(dir, "disk")];
  mkdirSync(mountPoint);
  run("truncate", "-s", imageBytes[type], image);
  run(`mkfs.${type}`, "-q", ...(type === "ext4" ? ["-F"] : []), image);
  const mount = (): void => void run("mount", "-t", type, "-o", mountOptions[type], image, mountPoint);
  mount();
  const dataDir = join(mountPoint, "data");
  const ballast = join(mountPoint, "ballast");
  mkdirSync(dataDir);
  // The directory itself belongs to whoever made the volume, and stays.
  run("sync", "-f", dataDir);
  return {
    dataDir,
    // ext4 asks for a capability (CAP_SYS_RESOURCE) that containers lack.
    canGrow: type === "xfs",
    cut: () => void run("xfs_io", "-x", "-c", "shutdown", mountPoint),
    restore() {
      run("umount", mountPoint);
      mount();
    },
    fill(leftBytes) {
      const { bavail, bsize } = statfsSync(mountPoint);
      // Others write meanwhile: what is free at the look may be taken when it is asked for.
      run("fallocate", "-l", String(bavail * bsize - Math.max(leftBytes, TAKEN_MEANWHILE_BYTES)), ballast);
      if (leftBytes === 0) appendUntilFull(ballast);
    },
    relieve(how) {
      if (how === "free") return rmSync(ballast);
      run("truncate", "-s", `+${GROWTH}`, image);
      const device = run("losetup", "-n", "-O", "NAME", "-j", image).trim();
      run("losetup", "-c", device);
      run("xfs_growfs", mountPoint);
    },
    discard() {
      run("umount", mountPoint);
      rmSync(image);
      rmSync(mountPoint, { recursive: true });
    },
  };
}

function appendUntilFull(path: string): void {
  const piece = Buffer.alloc(4096);
  const file = openSync(path, "a");
  try {
    for (;;) writeSync(file, piece);
  } catch (thrown) {
    if ((thrown as NodeJS.ErrnoException).code !== "ENOSPC") throw thrown;
  } finally {
    closeSync(file);
  }
}

function run(command: string, ...args: readonly string[]): string {
  const { status, stdout, stderr, error } = spawnSync(command, args, { encoding: "utf8" });
  if (status !== 0) throw new Error(`${command} ${args.join(" ")}: ${error?.message ?? stderr.trim()}`);
  return stdout;
}
