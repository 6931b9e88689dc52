/** The whole node, before anything of ours runs on it: pods, names, Services, volumes that are real and grow. */
import { expect, test } from "vitest";
import { until } from "../support/until.ts";
import { Workspace } from "../support/workspace.ts";
import { ClusterWithNode, nodeObstacle } from "./node/node.ts";
import { claimOf, proberImage, proberPod } from "./node/prober.ts";
import { Api, condition } from "./support/api.ts";
import type { KubeObject } from "./support/api.ts";

const NAMESPACE = "probes";
const obstacle = nodeObstacle();

const isReady = (object: KubeObject): boolean => condition(object, "Ready")?.["status"] === "True";

test.skipIf(obstacle !== undefined)(
  `restricted pods run, keep files on volumes that grow under them, and find each other by name${obstacle === undefined ? "" : `: ${obstacle}`}`,
  async () => {
    const workspace = new Workspace("node");
    let cluster: ClusterWithNode | undefined;
    let failed = true;
    try {
      cluster = await ClusterWithNode.start(workspace);
      cluster.load(await proberImage(workspace.folder));
      const api = await Api.fromKubeconfig(cluster.plane.kubeconfig);
      const labels = { "pod-security.kubernetes.io/enforce": "restricted" };
      await api.apply({ apiVersion: "v1", kind: "Namespace", metadata: { name: NAMESPACE, labels } });
      await api.apply(claimOf(NAMESPACE, "data", "400Mi"));
      await api.apply(proberPod(NAMESPACE, "keeper", "data"));
      await api.apply(proberPod(NAMESPACE, "asker"));
      await api.apply({
        apiVersion: "v1",
        kind: "Service",
        metadata: { name: "keeper", namespace: NAMESPACE },
        spec: { selector: { probe: "keeper" }, ports: [{ port: 80, targetPort: 8080 }] },
      });
      const reference = (name: string) => ({ apiVersion: "v1", kind: "Pod", name, namespace: NAMESPACE });
      const ready = (name: string) => api.waitFor(reference(name), "to be ready", isReady, { timeoutMs: 120_000 });
      const { uid } = (await ready("keeper")).metadata;
      await ready("asker");
      // Through the API server to the pod, as `kubectl port-forward` would.
      const ask = async (name: string, path: string) =>
        (await api.request("GET", `/api/v1/namespaces/${NAMESPACE}/pods/${name}:8080/proxy${path}`)).body["message"];

      const url = encodeURIComponent(`http://keeper.${NAMESPACE}.svc.cluster.local/`);
      await until("the name to lead to the pod", async () =>
        (await ask("asker", `/get?url=${url}`)) === "here" ? true : undefined,
      );
      expect(
        String(await ask("keeper", "/starts"))
          .trim()
          .split("\n"),
      ).toHaveLength(1);

      const before = Number(await ask("keeper", "/megabytes"));
      expect(before).toBeLessThan(400);
      await api.patch(
        { ...reference("data"), kind: "PersistentVolumeClaim" },
        {
          spec: { resources: { requests: { storage: "600Mi" } } },
        },
      );
      const megabytes = await until(
        "the volume to grow under the pod",
        async () => {
          const now = Number(await ask("keeper", "/megabytes"));
          return now > before ? now : undefined;
        },
        { timeoutMs: 180_000, everyMs: 1_000 },
      );
      expect(megabytes).toBeGreaterThan(500);
      expect((await api.get(reference("keeper"))).metadata.uid).toBe(uid);

      await cluster.kubelet.stop();
      cluster.startKubelet();
      await api.delete(reference("keeper"));
      await api.waitForAbsence(reference("keeper"), { timeoutMs: 120_000 });
      await api.apply(proberPod(NAMESPACE, "keeper", "data"));
      await ready("keeper");
      expect(
        String(await ask("keeper", "/starts"))
          .trim()
          .split("\n"),
      ).toHaveLength(2);
      api.close();
      failed = false;
    } finally {
      await cluster?.stop();
      await workspace.close({ failed });
    }
  },
  600_000,
);
