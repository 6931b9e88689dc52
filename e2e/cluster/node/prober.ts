/** The pod that tests of the node run: programs/kubernetes/prober, as Pod Security's `restricted` wants it. */
import type { KubeObject } from "../support/api.ts";
import { buildPrograms, clusterProgram } from "../support/programs.ts";
import { makeImage } from "./images.ts";

const IMAGE = "tsdb.dev/e2e/prober:1";

/** Makes its image in a folder. @returns the archive's path */
export async function proberImage(folder: string): Promise<string> {
  await buildPrograms(["prober"]);
  const files = { "bin/prober": clusterProgram("prober") };
  return makeImage(folder, { name: IMAGE, files, entrypoint: ["/bin/prober"] });
}

/** @param claim of the volume that it keeps a file on; it has none when absent */
export const proberPod = (namespace: string, name: string, claim?: string): KubeObject => ({
  apiVersion: "v1",
  kind: "Pod",
  metadata: { name, namespace, labels: { probe: name } },
  spec: {
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
        ...(claim === undefined ? {} : { volumeMounts: [{ name: "data", mountPath: "/data" }] }),
      },
    ],
    ...(claim === undefined ? {} : { volumes: [{ name: "data", persistentVolumeClaim: { claimName: claim } }] }),
  },
});

export const claimOf = (namespace: string, name: string, storage: string): KubeObject => ({
  apiVersion: "v1",
  kind: "PersistentVolumeClaim",
  metadata: { name, namespace },
  spec: { accessModes: ["ReadWriteOnce"], resources: { requests: { storage } } },
});
