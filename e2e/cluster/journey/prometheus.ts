/** A real Prometheus in the cluster that scrapes a database and writes to it, as a user would run one under `restricted`. */
import { peerProgram } from "../../support/peers.ts";
import { makeImage } from "../node/images.ts";
import type { KubeObject } from "../support/api.ts";

export const PROMETHEUS_IMAGE = "tsdb.dev/e2e/prometheus:1";

/** Makes its image of the program that the peers are built with. @returns the archive's path */
export const prometheusImage = (folder: string): string =>
  makeImage(folder, {
    name: PROMETHEUS_IMAGE,
    files: { "bin/prometheus": peerProgram("prometheus") },
    entrypoint: ["/bin/prometheus"],
  });

const configuration = (service: string): string => `
global:
  scrape_interval: 1s
scrape_configs:
  - job_name: tsdb
    static_configs:
      - targets: ["${service}"]
remote_write:
  - url: http://${service}/api/v1/write
`;

/** @param service host and port of the database's Service */
export function prometheusObjects(service: string): readonly KubeObject[] {
  const name = "prometheus";
  const labels = { "app.kubernetes.io/name": name };
  return [
    {
      apiVersion: "v1",
      kind: "ConfigMap",
      metadata: { name },
      data: { "prometheus.yml": configuration(service) },
    },
    {
      apiVersion: "v1",
      kind: "Pod",
      metadata: { name, labels },
      spec: {
        enableServiceLinks: false,
        automountServiceAccountToken: false,
        securityContext: {
          runAsNonRoot: true,
          runAsUser: 65_532,
          fsGroup: 65_532,
          seccompProfile: { type: "RuntimeDefault" },
        },
        containers: [
          {
            name,
            image: PROMETHEUS_IMAGE,
            args: ["--config.file=/etc/prometheus/prometheus.yml", "--storage.tsdb.path=/prometheus"],
            securityContext: { allowPrivilegeEscalation: false, capabilities: { drop: ["ALL"] } },
            readinessProbe: { httpGet: { path: "/-/ready", port: 9090 }, periodSeconds: 1 },
            volumeMounts: [
              { name: "config", mountPath: "/etc/prometheus" },
              { name: "data", mountPath: "/prometheus" },
            ],
          },
        ],
        volumes: [
          { name: "config", configMap: { name } },
          { name: "data", emptyDir: {} },
        ],
      },
    },
  ];
}
