/** What lets a Prometheus operator find the database. */
import type { Database, Facts } from "./facts.ts";
import type { KubeObject } from "../cluster/objects.ts";
import { DATABASE_LABEL, metadataOf, SERVICE_LABEL } from "./metadata.ts";
import { serviceMonitorName } from "./names.ts";

export const SERVICE_MONITOR = { apiVersion: "monitoring.coreos.com/v1", kind: "ServiceMonitor" } as const;

/** @returns undefined when none is asked for, or the cluster does not know the kind */
export function serviceMonitor(database: Database, facts: Facts): KubeObject | undefined {
  const { monitoring } = database.spec;
  if (!monitoring?.serviceMonitor || !facts.hasServiceMonitors) return undefined;
  return {
    ...SERVICE_MONITOR,
    metadata: metadataOf(database, facts, serviceMonitorName(database), { labels: monitoring.labels ?? {} }),
    spec: {
      // The members' Service has each of them once, and those that are not ready: the clients' would give a target twice.
      selector: { matchLabels: { [DATABASE_LABEL]: database.name, [SERVICE_LABEL]: "members" } },
      endpoints: [{ port: "http", path: "/metrics" }],
      targetLabels: [DATABASE_LABEL],
    },
  };
}
