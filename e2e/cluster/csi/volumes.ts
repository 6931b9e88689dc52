/**
 * Volumes of a real size: XFS in sparse files on loop devices. XFS grows while it is mounted; ext4 would ask for a
 * capability that containers lack. A file's name is the volume's id, its size the volume's capacity.
 */
import { spawnSync } from "node:child_process";
import {
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readFileSync,
  readSync,
  rmSync,
  statSync,
  truncateSync,
} from "node:fs";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { Code, GrpcError } from "./grpc.ts";

/** XFS refuses to be smaller. */
const BYTES_MIN = 320 * 2 ** 20;

export class LoopVolumes {
  readonly #folder: string;

  constructor(folder: string) {
    this.#folder = folder;
    mkdirSync(folder, { recursive: true });
  }

  /** Makes it, or leaves it as it is when it is there. @returns its capacity in bytes */
  create(id: string, bytes: number): number {
    const image = this.#image(id);
    if (!existsSync(image)) writeFileSync(image, "");
    return this.grow(id, Math.max(bytes, BYTES_MIN));
  }

  /** @returns its capacity in bytes; never less than before */
  grow(id: string, bytes: number): number {
    const image = this.#existing(id);
    if (statSync(image).size < bytes) truncateSync(image, bytes);
    return statSync(image).size;
  }

  delete(id: string): void {
    rmSync(this.#image(id), { force: true });
  }

  /** Mounts it at a path, formatted the first time. */
  mount(id: string, path: string): void {
    const image = this.#existing(id);
    if (isMounted(path)) return;
    mkdirSync(path, { recursive: true });
    if (!isXfs(image)) run("mkfs.xfs", "-q", image);
    // A copy of a file system has the id of the first one, which XFS would not mount twice.
    run("mount", "-t", "xfs", "-o", "loop,nouuid", image, path);
    this.growFileSystem(id, path);
  }

  /** Shows what is mounted at one path at another one too. */
  bind(from: string, to: string, isReadOnly: boolean): void {
    if (isMounted(to)) return;
    mkdirSync(to, { recursive: true });
    run("mount", "--bind", from, to);
    if (isReadOnly) run("mount", "-o", "remount,bind,ro", to);
  }

  unmount(path: string): void {
    if (isMounted(path)) run("umount", path);
    rmSync(path, { recursive: true, force: true });
  }

  /** Makes the mounted file system as large as the volume is by now. @returns the capacity in bytes */
  growFileSystem(id: string, mountPoint: string): number {
    const image = this.#existing(id);
    const device = run("losetup", "-n", "-O", "NAME", "-j", image).trim();
    if (device === "") throw new GrpcError(Code.internal, `${id} is on no loop device`);
    run("losetup", "-c", device);
    run("xfs_growfs", mountPoint);
    return statSync(image).size;
  }

  #image(id: string): string {
    if (!/^[\w.-]+$/.test(id)) throw new GrpcError(Code.invalidArgument, `${id} is no id of a volume`);
    return join(this.#folder, `${id}.img`);
  }

  #existing(id: string): string {
    const image = this.#image(id);
    if (!existsSync(image)) throw new GrpcError(Code.notFound, `there is no volume ${id}`);
    return image;
  }
}

const isMounted = (path: string): boolean =>
  readFileSync("/proc/self/mounts", "utf8")
    .split("\n")
    .some((line) => line.split(" ")[1] === path);

function isXfs(image: string): boolean {
  const magic = Buffer.alloc(4);
  const file = openSync(image, "r");
  readSync(file, magic, 0, magic.length, 0);
  closeSync(file);
  return magic.toString("latin1") === "XFSB";
}

function run(command: string, ...args: readonly string[]): string {
  const { status, stdout, stderr, error } = spawnSync(command, args, { encoding: "utf8" });
  if (status !== 0)
    throw new GrpcError(Code.internal, `${command} ${args.join(" ")}: ${error?.message ?? stderr.trim()}`);
  return stdout;
}
