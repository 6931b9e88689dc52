/** The whole node, before anything of ours runs on it: pods, names, Services, volumes that are real and grow. */
import { expect, test } from "vitest";
import { until } from "../support/until.ts";
import { Workspace } from "../support/workspace.ts";
import { ClusterWithNode, nodeObstacle } from "./node/node.ts";
import { makeImage } from "./node/images.ts";
import { Api, field } from "./support/api.ts";
import type { KubeObject } from "./support/api.ts";
import { buildPrograms, clusterProgram } from "./support/programs.ts";

const IMAGE = "tsdb.dev/e2e/prober:1";
const NAMESPACE = "probes";
const obstacle = nodeObstacle();

/** As Pod Security's `restricted` wants it. */
const podSpec = (name: string, volumes: readonly object[] = []) => ({
  enableServiceLinks: false,
  securityContext: {
    runAsNonRoot: true,
    runAsUser: 65_532,
    fsGroup: 65_532,
    fsGroupChangePolicy: "OnRootMismatch",
    seccompProfile: { type: "RuntimeDefault" },
  },
  containers: [
    {
      name,
      image: IMAGE,
      imagePullPolicy: "Never",
      readinessProbe: { httpGet: { path: "/", port: 8080 }, periodSeconds: 1 },
      securityContext: {
        allowPrivilegeEscalation: false,
        readOnlyRootFilesystem: true,
        capabilities: { drop: ["ALL"] },
      },
      ...(volumes.length > 0 ? { volumeMounts: [{ name: "data", mountPath: "/data" }] } : {}),
    },
  ],
  ...(volumes.length > 0 ? { volumes } : {}),
});

const claim: KubeObject = {
  apiVersion: "v1",
  kind: "PersistentVolumeClaim",
  metadata: { name: "data", namespace: NAMESPACE },
  spec: { accessModes: ["ReadWriteOnce"], resources: { requests: { storage: "400Mi" } } },
};

const pod = (name: string, volumes?: readonly object[]): KubeObject => ({
  apiVersion: "v1",
  kind: "Pod",
  metadata: { name, namespace: NAMESPACE, labels: { probe: name } },
  spec: podSpec(name, volumes),
});

const isReady = (object: KubeObject): boolean =>
  ((field(object, "status.conditions") ?? []) as readonly Record<string, unknown>[]).some(
    ({ type, status }) => type === "Ready" && status === "True",
  );

test.skipIf(obstacle !== undefined)(
  `restricted pods run, keep files on volumes that grow under them, and find each other by name${obstacle === undefined ? "" : `: ${obstacle}`}`,
  async () => {
    const workspace = new Workspace("node");
    let cluster: ClusterWithNode | undefined;
    let failed = true;
    try {
      cluster = await ClusterWithNode.start(workspace);
      await buildPrograms(["prober"]);
      const files = { "bin/prober": clusterProgram("prober") };
      cluster.load(makeImage(workspace.folder, { name: IMAGE, files, entrypoint: ["/bin/prober"] }));
      const api = await Api.fromKubeconfig(cluster.plane.kubeconfig);
      const labels = { "pod-security.kubernetes.io/enforce": "restricted" };
      await api.apply({ apiVersion: "v1", kind: "Namespace", metadata: { name: NAMESPACE, labels } });
      await api.apply(claim);
      await api.apply(pod("keeper", [{ name: "data", persistentVolumeClaim: { claimName: "data" } }]));
      await api.apply(pod("asker"));
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
      await api.apply(pod("keeper", [{ name: "data", persistentVolumeClaim: { claimName: "data" } }]));
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
