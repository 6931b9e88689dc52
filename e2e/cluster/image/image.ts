/**
 * The project's image, built from the Dockerfile with bases made here (bases.ts), as a file that `ctr images import` and
 * `docker load` read. Nothing is pulled; npm fetches the packages that the lock file names.
 *
 *   node e2e/cluster/image/image.ts FILE [NAME]     builds it, writes FILE, names it NAME (the release's name when absent)
 */
import { releaseImage } from "../../../src/operator/release.ts";
import { bases } from "./bases.ts";
import { Buildah } from "./buildah.ts";

export type Target = "runtime" | "dev";

/** Builds it and returns its name in the store. */
export function buildImage(buildah: Buildah, target: Target = "runtime"): string {
  const { node, runtime } = bases(buildah);
  const name = `localhost/tsdb-${target}:latest`;
  buildah.build({ name, target, args: { NODE_IMAGE: node, RUNTIME_IMAGE: runtime } });
  return name;
}

/**
 * Builds it and writes it to a file.
 * @param name that pods will use
 * @param revision of another build, of which nothing else is different
 */
export function imageArchive(file: string, name = releaseImage, revision?: string): void {
  const buildah = new Buildah();
  let image = buildImage(buildah);
  if (revision !== undefined) {
    const other = `localhost/tsdb-runtime:${revision}`;
    buildah.ofCommit(image, revision, other);
    image = other;
  }
  buildah.save(image, file, name);
}

if (import.meta.main) {
  const [file, name] = process.argv.slice(2);
  if (file === undefined) {
    process.stderr.write("usage: node e2e/cluster/image/image.ts FILE [NAME]\n");
    process.exit(2);
  }
  imageArchive(file, name);
}
