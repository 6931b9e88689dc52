/**
 * `npm run cluster`: leaves a real Kubernetes running and prints how to reach it.
 *
 *   npm run cluster                  the whole of it, with a node that runs pods, on Linux as root with Debian's packages
 *                                    that node/node.ts names; else as control-plane
 *   npm run cluster -- control-plane etcd, kube-apiserver, kube-controller-manager: no root needed, pods stay Pending
 *   npm run cluster -- load FILE     makes an image known to the node: an archive of docker save, or of image/image.ts
 *   npm run cluster -- status        whether one runs, and its kubeconfig
 *   npm run cluster -- stop          ends it and removes what it kept
 *
 * One for each user and machine; its folder is named when it starts. With TSDB_CLUSTER_OWNER=PID it ends with that process.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, openSync, readFileSync, rmSync } from "node:fs";
import { connect, createServer } from "node:net";
import { tmpdir, userInfo } from "node:os";
import { join, resolve } from "node:path";
import { text } from "node:stream/consumers";
import { until } from "../support/until.ts";
import { Workspace } from "../support/workspace.ts";
import { loadImage } from "./node/containerd.ts";
import { ClusterWithNode, nodeObstacle } from "./node/node.ts";
import { ControlPlane } from "./support/control-plane.ts";
import { buildPrograms, CONTROL_PLANE, kubernetesVersion, NODE } from "./support/programs.ts";

interface State {
  readonly pid: number;
  readonly kubeconfig: string;
  readonly folder: string;
  /** Of containerd, where pods run; else why they do not. */
  readonly node: { readonly socket: string } | { readonly obstacle: string };
}

const home = join(tmpdir(), `tsdb-cluster-${userInfo().uid}`);
/** Where the process that serves tells its State. A file would outlive it, and its number may become another's. */
const socket = join(home, "state.sock");
const log = join(home, "cluster.log");

async function running(): Promise<State | undefined> {
  try {
    return JSON.parse(await text(connect(socket))) as State;
  } catch {
    return undefined; // Nobody listens there, or it was killed while it spoke.
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

function say({ kubeconfig, pid, folder, node }: State): void {
  process.stdout.write(
    `Kubernetes ${kubernetesVersion()} runs as process ${pid}, its logs in ${join(folder, "logs")}.\n` +
      ("obstacle" in node ? `Pods stay Pending: ${node.obstacle}.\n` : "") +
      `\n  export KUBECONFIG=${kubeconfig}\n\nEnd it with \`npm run cluster -- stop\`.\n`,
  );
}

/** A process of its own that outlives the command, as the cluster's programs do not outlive it. */
async function start(isPlaneOnly: boolean): Promise<void> {
  const before = await running();
  if (before !== undefined) return say(before);
  const obstacle = isPlaneOnly ? "it was asked for without a node" : nodeObstacle();
  await buildPrograms(obstacle === undefined ? [...CONTROL_PLANE, ...NODE, "pause"] : CONTROL_PLANE);
  mkdirSync(home, { recursive: true, mode: 0o700 });
  const output = openSync(log, "w");
  const child = spawn(
    process.execPath,
    [import.meta.filename, "serve", ...(obstacle === undefined ? [] : [obstacle])],
    {
      detached: true,
      stdio: ["ignore", output, output],
      cwd: "/",
    },
  );
  const answered = () => {
    if (child.exitCode !== null) throw new Error(`it did not start:\n${readFileSync(log, "utf8")}`);
    return running();
  };
  // Seconds, unless the machine is busy with other things.
  const state = await until("the cluster", answered, { timeoutMs: 300_000 });
  child.unref();
  say(state);
}

/** What the process does that outlives the command. */
async function serve(obstacle: string | undefined): Promise<void> {
  const workspace = new Workspace("cluster");
  const asked = new Promise((end) => {
    process.on("SIGTERM", end).on("SIGINT", end);
    // A test that is killed stops nothing any more.
    const owner = process.env["TSDB_CLUSTER_OWNER"];
    if (owner !== undefined) setInterval(() => void (isAlive(Number(owner)) || end(owner)), 1_000).unref();
  });
  const server = createServer();
  let cluster: ClusterWithNode | undefined;
  try {
    if (obstacle === undefined) cluster = await ClusterWithNode.start(workspace);
    const { kubeconfig } = cluster?.plane ?? (await ControlPlane.start(workspace));
    const node = obstacle === undefined ? { socket: cluster!.containerd.socket } : { obstacle };
    const state: State = { pid: process.pid, kubeconfig, folder: workspace.folder, node };
    rmSync(socket, { force: true });
    server.on("connection", (peer) => peer.on("error", () => undefined).end(JSON.stringify(state)));
    await once(server.listen(socket), "listening");
    await asked;
  } finally {
    await cluster?.stop();
    await workspace.close({ failed: false });
    server.close();
  }
}

async function load(archive: string | undefined): Promise<void> {
  const state = await running();
  if (archive === undefined) throw new Error("say which file: npm run cluster -- load FILE");
  if (state === undefined) throw new Error("no cluster is running: npm run cluster");
  if ("obstacle" in state.node) throw new Error(`it runs no pods: ${state.node.obstacle}`);
  process.stdout.write(loadImage(state.node.socket, resolve(archive)));
}

async function stop(): Promise<void> {
  const state = await running();
  if (state === undefined) return void process.stdout.write("no cluster is running\n");
  process.kill(state.pid, "SIGTERM");
  await until("the cluster to end", async () => ((await running()) === undefined ? true : undefined), {
    timeoutMs: 120_000,
  });
  process.stdout.write("ended\n");
}

const [command = "start", argument] = process.argv.slice(2);
switch (command) {
  case "start":
  case "control-plane":
    await start(command === "control-plane");
    break;
  case "serve":
    await serve(argument);
    break;
  case "load":
    await load(argument);
    break;
  case "status": {
    const state = await running();
    if (state === undefined) process.stdout.write("no cluster is running\n");
    else say(state);
    break;
  }
  case "stop":
    await stop();
    break;
  default:
    process.stderr.write(`there are start, control-plane, load, status and stop, not ${command}\n`);
    process.exitCode = 2;
}
