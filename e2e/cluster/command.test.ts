/** `npm run cluster`: what it starts, and that nothing of it stays, whoever ends it. */
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { until } from "../support/until.ts";
import { Workspace } from "../support/workspace.ts";
import { nodeObstacle } from "./node/node.ts";
import { claimOf, proberImage, proberPod } from "./node/prober.ts";
import { Api, condition } from "./support/api.ts";
import { run } from "./support/run.ts";

const obstacle = nodeObstacle();
const main = fileURLToPath(new URL("main.ts", import.meta.url));

/** In a folder of its own, besides one that the tester may have running. */
const command = (folder: string, ...args: readonly string[]): string =>
  run(process.execPath, [main, ...args], { env: { TMPDIR: folder, TSDB_CLUSTER_OWNER: String(process.pid) } });

/** Processes, mounts, loop devices and interfaces of a folder's cluster, whose addresses begin with 10.N. */
function leftovers(folder: string, n: string): readonly string[] {
  const processes = readdirSync("/proc").flatMap((pid) => {
    try {
      const [words, cgroup] = ["cmdline", "cgroup"].map((file) => readFileSync(`/proc/${pid}/${file}`, "utf8"));
      return words!.includes(folder) || cgroup!.includes(`/tsdb-e2e-${n}/`) ? [words!.replaceAll("\0", " ")] : [];
    } catch {
      return []; // No process, or one that has ended meanwhile.
    }
  });
  const devices = spawnSync("losetup", ["--all"], { encoding: "utf8" }).stdout;
  const lines = [...readFileSync("/proc/self/mounts", "utf8").split("\n"), ...devices.split("\n")];
  const interfaces = readdirSync("/sys/class/net").filter((name) => name === `tsdbo${n}`);
  return [...processes, ...interfaces, ...lines.filter((line) => line.includes(folder))];
}

test.skipIf(obstacle !== undefined)(
  "a cluster that was left running takes images and runs pods, and ends without a trace, even when it is killed",
  async () => {
    const workspace = new Workspace("command");
    // Short: sockets are in it.
    const folder = workspace.path("c");
    mkdirSync(folder);
    let failed = true;
    try {
      for (const end of ["stopped", "killed", "stopped"] as const) {
        const said = command(folder, "start");
        const [, pid] = /runs as process (\d+)/.exec(said) ?? [];
        const [, kubeconfig] = /export KUBECONFIG=(\S+)/.exec(said) ?? [];
        expect(command(folder, "status")).toBe(said);
        expect(command(folder, "load", await proberImage(workspace.folder))).toContain("tsdb.dev/e2e/prober:1");
        const [, n] = /server: https:\/\/10\.(\d+)\./.exec(readFileSync(kubeconfig!, "utf8")) ?? [];
        const api = await Api.fromKubeconfig(kubeconfig!);
        await api.apply(claimOf("default", "data", "400Mi"));
        const pod = await api.apply(proberPod("default", "keeper", "data"));
        await api.waitFor(
          { ...pod, name: "keeper", namespace: "default" },
          "to be ready",
          (object) => condition(object, "Ready")?.["status"] === "True",
          { timeoutMs: 180_000 },
        );
        api.close();
        expect(leftovers(folder, n!)).not.toEqual([]);
        if (end === "stopped") expect(command(folder, "stop")).toBe("ended\n");
        else process.kill(Number(pid), "SIGKILL");
        expect(command(folder, "status")).toBe("no cluster is running\n");
        await until("nothing to be left", () => (leftovers(folder, n!).length === 0 ? true : undefined)).catch(
          (thrown: unknown) => {
            throw new Error(`${end}: ${String(thrown)}\n${leftovers(folder, n!).join("\n")}`);
          },
        );
      }
      expect(command(folder, "stop")).toBe("no cluster is running\n");
      failed = false;
    } finally {
      if (existsSync(folder)) command(folder, "stop");
      await workspace.close({ failed });
    }
  },
  900_000,
);
