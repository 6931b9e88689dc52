/**
 * `npm run cluster`: leaves a real Kubernetes running and prints how to reach it.
 *
 *   npm run cluster                  etcd, kube-apiserver, kube-controller-manager: no root needed, pods stay Pending
 *   npm run cluster -- status        whether one runs, and its kubeconfig
 *   npm run cluster -- stop          ends it and removes what it kept
 *
 * One for each user and machine; its folder is named when it starts.
 */
import { spawn } from "node:child_process";
import { existsSync, mkdirSync, openSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir, userInfo } from "node:os";
import { join } from "node:path";
import { until } from "../support/until.ts";
import { Workspace } from "../support/workspace.ts";
import { ControlPlane } from "./support/control-plane.ts";
import { buildPrograms, CONTROL_PLANE, kubernetesVersion } from "./support/programs.ts";

interface State {
  readonly pid: number;
  readonly kubeconfig: string;
  readonly folder: string;
}

const home = join(tmpdir(), `tsdb-cluster-${userInfo().uid}`);
const stateFile = join(home, "state.json");
const log = join(home, "cluster.log");

function running(): State | undefined {
  if (!existsSync(stateFile)) return undefined;
  const state = JSON.parse(readFileSync(stateFile, "utf8")) as State;
  try {
    process.kill(state.pid, 0);
    return state;
  } catch {
    return undefined;
  }
}

function say({ kubeconfig, pid, folder }: State): void {
  process.stdout.write(
    `Kubernetes ${kubernetesVersion()} runs as process ${pid}, its logs in ${join(folder, "logs")}.\n` +
      `\n  export KUBECONFIG=${kubeconfig}\n\nEnd it with \`npm run cluster -- stop\`.\n`,
  );
}

/** A process of its own that outlives the command, as the cluster's programs do not outlive it. */
async function start(): Promise<void> {
  const before = running();
  if (before !== undefined) return say(before);
  await buildPrograms(CONTROL_PLANE);
  mkdirSync(home, { recursive: true, mode: 0o700 });
  rmSync(stateFile, { force: true });
  const output = openSync(log, "w");
  const child = spawn(process.execPath, [import.meta.filename, "serve"], {
    detached: true,
    stdio: ["ignore", output, output],
    cwd: "/",
  });
  const answered = () => {
    if (child.exitCode !== null) throw new Error(`it did not start:\n${readFileSync(log, "utf8")}`);
    return running();
  };
  // Seconds, unless the machine is busy with other things.
  const state = await until("the cluster", answered, { timeoutMs: 180_000 });
  child.unref();
  say(state);
}

/** What the process does that outlives the command. */
async function serve(): Promise<void> {
  const workspace = new Workspace("cluster");
  const asked = new Promise((resolve) => process.on("SIGTERM", resolve).on("SIGINT", resolve));
  try {
    const plane = await ControlPlane.start(workspace);
    const state: State = { pid: process.pid, kubeconfig: plane.kubeconfig, folder: workspace.folder };
    writeFileSync(stateFile, JSON.stringify(state));
    await asked;
  } finally {
    rmSync(stateFile, { force: true });
    await workspace.close({ failed: false });
  }
}

async function stop(): Promise<void> {
  const state = running();
  if (state === undefined) return void process.stdout.write("no cluster is running\n");
  process.kill(state.pid, "SIGTERM");
  await until("the cluster to end", () => (running() === undefined ? true : undefined), { timeoutMs: 60_000 });
  process.stdout.write("ended\n");
}

const [command = "start"] = process.argv.slice(2);
switch (command) {
  case "start":
    await start();
    break;
  case "serve":
    await serve();
    break;
  case "status": {
    const state = running();
    if (state === undefined) process.stdout.write("no cluster is running\n");
    else say(state);
    break;
  }
  case "stop":
    await stop();
    break;
  default:
    process.stderr.write(`there are start, status and stop, not ${command}\n`);
    process.exitCode = 2;
}
