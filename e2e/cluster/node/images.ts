/**
 * Images without a registry: a folder of files becomes a docker-archive, which containerd imports. For what the cluster
 * itself needs and for tests' own programs; the database's image is built from its Dockerfile.
 */
import { createHash } from "node:crypto";
import { spawnSync } from "node:child_process";
import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";

export interface ImageOptions {
  /** Such as `tsdb.dev/e2e/pause:1`; with a registry and a tag, or containerd makes some up. */
  readonly name: string;
  /** Paths in the image, and the files that are put there; all executable. */
  readonly files: Readonly<Record<string, string>>;
  readonly entrypoint: readonly string[];
  /** Number of the user; 65532 when absent. */
  readonly user?: number;
}

/** Writes the archive into a folder. @returns its path */
export function makeImage(folder: string, { name, files, entrypoint, user = 65_532 }: ImageOptions): string {
  const work = mkdtempSync(join(folder, "image-"));
  try {
    const root = join(work, "root");
    for (const [path, source] of Object.entries(files)) {
      mkdirSync(join(root, dirname(path)), { recursive: true });
      copyFileSync(source, join(root, path));
    }
    // Sticky, as every program expects it that writes a temporary file.
    mkdirSync(join(root, "tmp"), { mode: 0o1777 });
    tar(join(work, "layer.tar"), root, ["--owner=0", "--group=0", "--mode=a+rX", "."]);
    const layer = createHash("sha256")
      .update(readFileSync(join(work, "layer.tar")))
      .digest("hex");
    const config = {
      architecture: process.arch === "arm64" ? "arm64" : "amd64",
      os: "linux",
      config: { Entrypoint: entrypoint, User: `${user}:${user}`, Env: ["PATH=/bin:/usr/bin"] },
      rootfs: { type: "layers", diff_ids: [`sha256:${layer}`] },
    };
    writeFileSync(join(work, "config.json"), JSON.stringify(config));
    const manifest = [{ Config: "config.json", RepoTags: [name], Layers: ["layer.tar"] }];
    writeFileSync(join(work, "manifest.json"), JSON.stringify(manifest));
    const archive = join(folder, `${name.replaceAll(/[^a-z0-9.]+/g, "-")}.tar`);
    tar(archive, work, ["manifest.json", "config.json", "layer.tar"]);
    return archive;
  } finally {
    rmSync(work, { recursive: true });
  }
}

function tar(archive: string, folder: string, args: readonly string[]): void {
  const { status, stderr } = spawnSync("tar", ["-cf", archive, "-C", folder, ...args], { encoding: "utf8" });
  if (status !== 0) throw new Error(`tar of ${folder}: ${stderr}`);
}
