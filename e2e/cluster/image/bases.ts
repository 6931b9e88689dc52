/**
 * The two images that the Dockerfile begins with, made here, since no registry of images can be reached from where the
 * tests run. One stands for node:26-trixie-slim: Node, npm, a shell and a few tools. The other stands for
 * gcr.io/distroless/cc-debian13: a C++ runtime, certificates, time zones, and neither shell nor tools, so that whatever the
 * image lacks on a real one it lacks here.
 *
 * Both are unpacked from Debian's packages as apt has them; Node is the one that this package brings along, npm the
 * machine's.
 */
import { cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import type { Buildah } from "./buildah.ts";
import { run } from "../support/run.ts";

/** Changes whenever what is in the bases does. */
const RECIPE = 1;

export interface Bases {
  readonly node: string;
  readonly runtime: string;
}

const RUNTIME_PACKAGES = ["base-files", "ca-certificates", "libc6", "libgcc-s1", "libstdc++6", "netbase", "tzdata"];
/** A shell, a few tools, what they link, and what Node links. */
const BUILD_PACKAGES = RUNTIME_PACKAGES.concat(
  ["coreutils", "dash", "findutils", "sed", "libatomic1"],
  ["libacl1", "libattr1", "libgmp10", "libpcre2-8-0", "libselinux1"],
);

/** Certificates that this machine trusts; a proxy of its own may be among them. */
const CERTIFICATES = "/etc/ssl/certs/ca-certificates.crt";

/** The bases' names in the store; made where they are missing. */
export function bases(buildah: Buildah): Bases {
  const stamp = `${RECIPE}-node${process.versions.node}`;
  const names = { node: `localhost/base-node:${stamp}`, runtime: `localhost/base-runtime:${stamp}` };
  if (!buildah.has(names.node)) inFolder((folder) => buildah.fromFolder(nodeBase(folder), names.node, NODE_SETTINGS));
  if (!buildah.has(names.runtime))
    inFolder((folder) => buildah.fromFolder(debian(folder, RUNTIME_PACKAGES), names.runtime, []));
  return names;
}

const NODE_SETTINGS = [
  "--env=PATH=/usr/local/bin:/usr/bin:/bin",
  `--env=NODE_EXTRA_CA_CERTS=${CERTIFICATES}`,
  "--cmd=node",
];

function nodeBase(folder: string): string {
  const tree = debian(folder, BUILD_PACKAGES);
  const bin = join(tree, "usr/local/bin");
  mkdirSync(bin, { recursive: true });
  cpSync(realpathSync(process.execPath), join(bin, "node"));
  const npm = join(run("npm", ["root", "--global"]).trim(), "npm");
  cpSync(npm, join(tree, "usr/local/lib/npm"), { recursive: true, dereference: true });
  writeFileSync(join(bin, "npm"), '#!/bin/sh\nexec node /usr/local/lib/npm/bin/npm-cli.js "$@"\n', { mode: 0o755 });
  return tree;
}

/** Debian's packages unpacked into a tree; nothing of them is run. */
function debian(folder: string, packages: readonly string[]): string {
  const [archives, tree] = [join(folder, "archives"), join(folder, "tree")];
  for (const path of [archives, tree]) mkdirSync(path);
  download(packages, archives);
  for (const archive of readdirSync(archives)) run("dpkg-deb", ["--extract", join(archives, archive), tree]);
  for (const unread of ["usr/share/doc", "usr/share/man", "usr/share/locale"])
    rmSync(join(tree, unread), { recursive: true, force: true });
  const certificates = join(tree, CERTIFICATES);
  mkdirSync(dirname(certificates), { recursive: true });
  if (existsSync(CERTIFICATES)) cpSync(CERTIFICATES, certificates);
  return tree;
}

function download(packages: readonly string[], into: string): void {
  // As root it says on its output that it could not change to a lesser user in this folder.
  const options = ["--quiet", "--quiet", "--option=APT::Sandbox::User=root"];
  try {
    run("apt-get", [...options, "download", ...packages], { cwd: into });
  } catch {
    // A fresh machine has no lists yet, an old one has lists of packages that are gone.
    run("apt-get", ["--quiet", "--quiet", "update"]);
    run("apt-get", [...options, "download", ...packages], { cwd: into });
  }
}

function inFolder(work: (folder: string) => void): void {
  const folder = mkdtempSync(join(tmpdir(), "tsdb-base-"));
  try {
    work(folder);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
