/**
 * The programs of a real Kubernetes, built from their Go modules once for each version into a cache outside the tree:
 * $TSDB_CLUSTER_CACHE, or tsdb-cluster in the user's cache folder. Only what is asked for is built; the first time takes
 * minutes (the API server four on two cores, all of them about twelve), and it says what goes on.
 *
 *   node e2e/cluster/support/programs.ts [kube-apiserver etcd ...]      (all of them when none is named)
 */
import { spawn, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

/** Each program: the module under e2e/cluster/programs that says its version, and its package. */
const PROGRAMS = {
  "kube-apiserver": { module: "kubernetes", package: "k8s.io/kubernetes/cmd/kube-apiserver" },
  "kube-controller-manager": { module: "kubernetes", package: "k8s.io/kubernetes/cmd/kube-controller-manager" },
  "kube-scheduler": { module: "kubernetes", package: "k8s.io/kubernetes/cmd/kube-scheduler" },
  kubelet: { module: "kubernetes", package: "k8s.io/kubernetes/cmd/kubelet" },
  "kube-proxy": { module: "kubernetes", package: "k8s.io/kubernetes/cmd/kube-proxy" },
  kubectl: { module: "kubernetes", package: "k8s.io/kubernetes/cmd/kubectl" },
  etcd: { module: "kubernetes", package: "go.etcd.io/etcd/server/v3" },
  coredns: { module: "kubernetes", package: "github.com/coredns/coredns" },
  "csi-provisioner": {
    module: "kubernetes",
    package: "github.com/kubernetes-csi/external-provisioner/v6/cmd/csi-provisioner",
  },
  "csi-resizer": { module: "kubernetes", package: "github.com/kubernetes-csi/external-resizer/v2/cmd/csi-resizer" },
  pause: { module: "kubernetes", package: "./pause" },
  prober: { module: "kubernetes", package: "./prober" },
  helm: { module: "helm", package: "helm.sh/helm/v4/cmd/helm" },
  starlark: { module: "starlark", package: "go.starlark.net/cmd/starlark" },
} as const;

export type ClusterProgram = keyof typeof PROGRAMS;

/** What a control plane runs: enough for all tests that need no pods. */
export const CONTROL_PLANE: readonly ClusterProgram[] = ["etcd", "kube-apiserver", "kube-controller-manager"];

/** What makes pods run on top of it, with volumes and names. */
export const NODE: readonly ClusterProgram[] = [
  "kube-scheduler",
  "kubelet",
  "kube-proxy",
  "coredns",
  "csi-provisioner",
  "csi-resizer",
];

const cache =
  process.env["TSDB_CLUSTER_CACHE"] ?? join(process.env["XDG_CACHE_HOME"] ?? join(homedir(), ".cache"), "tsdb-cluster");

const moduleFolder = (name: string): string => fileURLToPath(new URL(`../programs/${name}`, import.meta.url));

/** go.mod names every version, so its hash names the builds made from it. */
function builds(module: string): string {
  const goMod = readFileSync(join(moduleFolder(module), "go.mod"));
  return join(cache, `${module}-${createHash("sha256").update(goMod).digest("hex").slice(0, 12)}`);
}

const pathOf = (program: ClusterProgram): string => join(builds(PROGRAMS[program].module), program);

/** Where a program is. @throws when it was not built */
export function clusterProgram(program: ClusterProgram): string {
  const path = pathOf(program);
  if (!existsSync(path)) throw new Error(`${path} is not there: run e2e/cluster/support/programs.ts ${program}`);
  return path;
}

/** Of the Kubernetes that go.mod names, such as v1.37.2. */
export function kubernetesVersion(): string {
  const goMod = readFileSync(join(moduleFolder("kubernetes"), "go.mod"), "utf8");
  const version = /\bk8s\.io\/kubernetes (v[0-9.]+)/.exec(goMod)?.[1];
  if (version === undefined) throw new Error("e2e/cluster/programs/kubernetes/go.mod names no version of Kubernetes");
  return version;
}

/** Builds what is not there yet. */
export async function buildPrograms(programs: readonly ClusterProgram[]): Promise<void> {
  for (const program of programs) if (!existsSync(pathOf(program))) await build(program);
}

async function build(program: ClusterProgram): Promise<void> {
  const { module, package: path } = PROGRAMS[program];
  const env = {
    ...process.env,
    PATH: `${process.env["PATH"]}:/usr/local/go/bin`,
    CGO_ENABLED: "0",
    GOFLAGS: "-mod=readonly",
  };
  if (spawnSync("go", ["version"], { env }).status !== 0)
    throw new Error(`Go is needed to build ${program}; install Go 1.26 or newer, or give the tests a KUBECONFIG`);
  const [major, minor] = kubernetesVersion().slice(1).split(".");
  const version = "k8s.io/component-base/version";
  // Without a version of its own the API server says v0.0.0, which Helm and kubectl take for a very old one.
  const flags = [`-s -w -X ${version}.gitVersion=${kubernetesVersion()}`]
    .concat(`-X ${version}.gitMajor=${major} -X ${version}.gitMinor=${minor} -X ${version}.gitTreeState=clean`)
    .join(" ");
  mkdirSync(builds(module), { recursive: true });
  // Into a folder of its own first: a build that is cut off leaves nothing that looks finished.
  const out = mkdtempSync(join(cache, "build-"));
  const started = performance.now();
  const seconds = () => Math.round((performance.now() - started) / 1000);
  const say = (text: string) => process.stderr.write(`e2e/cluster: ${text}\n`);
  say(`building ${program} from ${path} (minutes the first time)`);
  const saying = setInterval(() => say(`still building ${program}, ${seconds()} s`), 30_000);
  try {
    const command = ["go", "build", "-trimpath", "-ldflags", flags, "-o", join(out, program), path];
    // Two builds at a time would compile everything twice; who waited may find it done.
    const unlessDone = ["bash", "-c", 'test -e "$0" || exec "$@"', pathOf(program), ...command];
    const child = spawn("flock", [join(cache, ".lock"), ...unlessDone], {
      cwd: moduleFolder(module),
      env,
      stdio: ["ignore", 2, 2],
    });
    const status = await new Promise((resolve, reject) => child.on("error", reject).on("exit", resolve));
    if (status !== 0) throw new Error(`go build of ${program} failed`);
    if (existsSync(join(out, program))) renameSync(join(out, program), pathOf(program));
    say(`${program} is there after ${seconds()} s`);
  } finally {
    clearInterval(saying);
    rmSync(out, { recursive: true, force: true });
  }
}

if (import.meta.main) {
  const named = process.argv.slice(2);
  const unknown = named.filter((name) => !(name in PROGRAMS));
  if (unknown.length > 0) {
    process.stderr.write(`no program is called ${unknown.join(", ")}; there are ${Object.keys(PROGRAMS).join(", ")}\n`);
    process.exit(2);
  }
  const programs = (named.length > 0 ? named : Object.keys(PROGRAMS)) as ClusterProgram[];
  await buildPrograms(programs);
  for (const program of programs) process.stdout.write(`${clusterProgram(program)}\n`);
}
