/**
 * Images built as root without a daemon, in a store of our own outside the tree. `RUN` steps are run in a chroot: they need
 * neither cgroups nor a network of their own.
 */
import { existsSync, mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { homedir, tmpdir } from "node:os";
import { join } from "node:path";
import { root, run } from "../support/run.ts";

export const cacheFolder =
  process.env["TSDB_IMAGE_CACHE"] ?? join(process.env["XDG_CACHE_HOME"] ?? join(homedir(), ".cache"), "tsdb-image");

export interface BuildOptions {
  readonly name: string;
  readonly target?: string;
  readonly args: Readonly<Record<string, string>>;
}

export class Buildah {
  readonly #store: readonly string[];

  constructor() {
    if (!existsSync("/usr/bin/buildah")) throw new Error("buildah is needed: apt-get install buildah");
    mkdirSync(cacheFolder, { recursive: true });
    this.#store = [
      `--root=${join(cacheFolder, "store")}`,
      `--runroot=${join(cacheFolder, "run")}`,
      "--storage-driver=overlay",
    ];
  }

  has(image: string): boolean {
    return this.#call(["images", "--format={{.Name}}:{{.Tag}}"]).split("\n").includes(image);
  }

  /** An image of one layer that holds a folder's files. */
  fromFolder(folder: string, name: string, settings: readonly string[]): void {
    const container = this.#call(["from", "scratch"]).trim();
    try {
      this.#call(["copy", "--quiet", container, folder, "/"]);
      if (settings.length > 0) this.#call(["config", ...settings, container]);
      this.#call(["commit", "--quiet", container, name]);
    } finally {
      this.#call(["rm", container]);
    }
  }

  /** The same image of another build, as far as anybody can see: it has another digest, and says another commit. */
  ofCommit(image: string, revision: string, name: string): void {
    const container = this.#call(["from", "--pull-never", image]).trim();
    try {
      const says = [`--label=org.opencontainers.image.revision=${revision}`, `--env=TSDB_REVISION=${revision}`];
      this.#call(["config", ...says, container]);
      this.#call(["commit", "--quiet", container, name]);
    } finally {
      this.#call(["rm", container]);
    }
  }

  /** Builds the Dockerfile; steps whose inputs did not change are taken from the build before. */
  build({ name, target, args }: BuildOptions): void {
    // Two at a time would both do what the second can take from the first.
    this.#call(
      [
        "build",
        "--isolation=chroot",
        "--pull-never",
        "--layers",
        "--format=docker",
        `--tag=${name}`,
        ...(target === undefined ? [] : [`--target=${target}`]),
        ...Object.entries(args).map(([key, value]) => `--build-arg=${key}=${value}`),
        ".",
      ],
      ["flock", join(cacheFolder, ".lock")],
    );
  }

  /** Writes the image to a file that `ctr images import` and `docker load` read, under the name that pods will use. */
  save(image: string, file: string, name: string): void {
    // An archive that is there would be added to, which this kind does not allow.
    rmSync(file, { force: true });
    this.#call(["push", "--quiet", image, `docker-archive:${file}:${name}`]);
  }

  /** What the image says of itself: user, command, environment, labels. */
  inspect(image: string): ImageConfig {
    return (JSON.parse(this.#call(["inspect", "--type=image", image])) as { readonly Docker: ImageConfig }).Docker;
  }

  /** Hands out a copy of the image's files, with their owners. */
  withFiles(image: string, look: (tree: string) => void): void {
    const container = this.#call(["from", "--pull-never", image]).trim();
    const tree = mkdtempSync(join(tmpdir(), "tsdb-image-"));
    try {
      const mount = ["buildah", ...this.#store, "mount", container];
      run("unshare", ["--mount", "sh", "-euc", 'tree=$1; shift; cp -a "$("$@")/." "$tree"', "sh", tree, ...mount]);
      look(tree);
    } finally {
      rmSync(tree, { recursive: true, force: true });
      this.#call(["rm", container]);
    }
  }

  /** Runs a program in the image, as the image's user, and returns what it printed. */
  runIn(image: string, command: readonly string[]): string {
    const container = this.#call(["from", "--pull-never", image]).trim();
    try {
      return this.#call(["run", "--isolation=chroot", container, "--", ...command]);
    } finally {
      this.#call(["rm", container]);
    }
  }

  /** With mounts of its own, which end with it, however it ends. */
  #call(args: readonly string[], wrapper: readonly string[] = []): string {
    return run("unshare", ["--mount", ...wrapper, "buildah", ...this.#store, ...args], { cwd: root });
  }
}

export interface ImageConfig {
  readonly config: {
    readonly User: string;
    readonly Env: readonly string[];
    readonly Cmd: readonly string[];
    readonly WorkingDir: string;
    readonly Labels: Readonly<Record<string, string>>;
  };
}
