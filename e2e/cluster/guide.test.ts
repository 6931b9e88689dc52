/**
 * docs/guides/kubernetes.md, done as it says: its commands are run as they stand there, one after another, on a cluster
 * that has a node and nothing else. Only Docker and a registry are not to be had: the image is built by buildah.
 */
import { spawnSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { expect, test } from "vitest";
import { until } from "../support/until.ts";
import { Workspace } from "../support/workspace.ts";
import { imageArchive } from "./image/image.ts";
import { ClusterWithNode, nodeObstacle } from "./node/node.ts";
import { on } from "./support/control-plane.ts";
import { buildPrograms, clusterProgram } from "./support/programs.ts";
import { root } from "./support/run.ts";

const obstacle = nodeObstacle() ?? (existsSync("/usr/bin/buildah") ? undefined : "apt-get install buildah");

const guide = readFileSync(join(root, "docs/guides/kubernetes.md"), "utf8");

/** The commands of the guide that begin with these words, with all that stands in the same block. */
function commands(beginning: string): string {
  const blocks = [...guide.matchAll(/^```bash\n(.*?)^```$/gms)].map(([, text]) => text!);
  const found = blocks.filter((text) => text.startsWith(beginning));
  if (found.length !== 1) throw new Error(`the guide has ${found.length} blocks that begin with ${beginning}`);
  return found[0]!;
}

test.skipIf(obstacle !== undefined)(
  "who does what the guide says has a database that is asked, changed, grown, taken away and had back",
  async () => {
    const workspace = new Workspace("guide");
    let cluster: ClusterWithNode | undefined;
    let failed = true;
    try {
      await buildPrograms(["helm", "kubectl"]);
      imageArchive(workspace.path("tsdb.tar"));
      cluster = await ClusterWithNode.start(workspace);
      cluster.load(workspace.path("tsdb.tar"));
      const { machine, plane } = cluster;
      const tools = [clusterProgram("kubectl"), clusterProgram("helm")].map((program) => dirname(program));
      // A home without settings of the tester's. Port 8080 is free there, whoever has it here.
      const env = {
        KUBECONFIG: plane.kubeconfig,
        PATH: [...tools, process.env["PATH"]].join(":"),
        HOME: workspace.folder,
      };
      const shell = (text: string) => {
        const { command, args } = on(machine, "bash", ["-euc", `cd ${root}; ${text}`]);
        const { status, stdout, stderr } = spawnSync(command, args, {
          encoding: "utf8",
          env: { ...process.env, ...env },
        });
        return { status, said: stdout + stderr };
      };
      const done = (beginning: string): string => {
        const { status, said } = shell(commands(beginning));
        expect(status, `${beginning}\n${said}`).toBe(0);
        return said;
      };
      const says = (text: string) => shell(text).said;

      done("helm install");
      expect(done("kubectl apply -f examples/minimal.yaml")).toMatch(/^metrics +Ready +True +1 +10Gi +\d+s$/m);
      expect(done("kubectl get timeseriesdb metrics -o jsonpath='{range")).toMatch(/^Ready\tTrue\t/m);
      expect(done("kubectl get timeseriesdb metrics -o jsonpath='{.status.endpoints}'")).toContain(
        "http://metrics.default.svc:8080/api/v1/write",
      );

      const forward = on(machine, "bash", ["-euc", `exec ${commands("kubectl port-forward")}`]);
      const forwarding = workspace.start({ name: "port-forward", ...forward, env });
      await forwarding.whileRunning("the port", () =>
        forwarding.log().includes("Forwarding from") ? true : undefined,
      );
      expect(done("npm run -s tsdb -- write")).toContain("0.85");
      expect(done("curl")).toContain('"host":"a"');

      expect(done(`kubectl patch timeseriesdb metrics --type=merge -p '{"spec":{"retention"`)).toContain(
        "condition met",
      );
      expect(says("curl -s http://localhost:8080/api/v1/admin/retention")).toContain('"90d"');
      expect(done(`kubectl patch timeseriesdb metrics --type=merge -p '{"spec":{"storage":{"size":"20Gi"`)).toContain(
        "condition met",
      );
      expect(says("kubectl get pvc data-metrics-0 -o jsonpath='{.status.capacity.storage}'")).toBe("20Gi");
      // Neither has the pod been restarted, or the port would be forwarded no more.
      expect(says("curl -s 'http://localhost:8080/api/v1/query?query=cpu'")).toContain("0.85");
      const refused = shell(
        commands(`kubectl patch timeseriesdb metrics --type=merge -p '{"spec":{"storage":{"size":"5Gi"`),
      );
      expect(refused.status).toBe(1);
      expect(refused.said).toContain("shrink");

      await forwarding.stop();
      expect(done("kubectl delete timeseriesdb metrics")).toMatch(/^data-metrics-0 +Bound /m);
      expect(says("kubectl wait --for=condition=Ready timeseriesdb/metrics --timeout=5m")).toContain("condition met");
      expect(says("kubectl get timeseriesdb metrics -o jsonpath='{.status.conditions}'")).toContain(
        "set spec.storage.size to 20Gi",
      );
      const again = on(machine, "bash", ["-euc", `exec ${commands("kubectl port-forward")}`]);
      workspace.start({ name: "port-forward-again", ...again, env });
      await until("what was written before", () =>
        says("curl -s 'http://localhost:8080/api/v1/query?query=last_over_time(cpu%5B1h%5D)'").includes("0.85")
          ? true
          : undefined,
      );
      failed = false;
    } finally {
      await cluster?.stop();
      await workspace.close({ failed });
    }
  },
  1_800_000,
);
