/** The two Services: one that clients use, one that gives each member its name in DNS. */
import type { Database, Facts } from "./facts.ts";
import type { KubeObject } from "../cluster/objects.ts";
import { metadataOf, selectorOf, SERVICE_LABEL } from "./metadata.ts";
import { headlessServiceName, HTTP_PORT, PROBE_PORT, serviceName } from "./names.ts";

/** The protocol is said although it is the default: it is part of the key that list items are merged by. */
const port = (name: string, number: number) => ({ name, port: number, targetPort: name, protocol: "TCP" });

export const service = (database: Database, facts: Facts): KubeObject => ({
  apiVersion: "v1",
  kind: "Service",
  metadata: metadataOf(database, facts, serviceName(database), {
    labels: { [SERVICE_LABEL]: "client" },
    annotations: database.spec.service?.annotations,
  }),
  spec: {
    type: database.spec.service?.type ?? "ClusterIP",
    selector: selectorOf(database),
    ports: [port("http", HTTP_PORT)],
  },
});

/** Members are found while they replay, too: a database that does not serve yet is scraped, and looked at by people. */
export const headlessService = (database: Database, facts: Facts): KubeObject => ({
  apiVersion: "v1",
  kind: "Service",
  metadata: metadataOf(database, facts, headlessServiceName(database), { labels: { [SERVICE_LABEL]: "members" } }),
  spec: {
    type: "ClusterIP",
    clusterIP: "None",
    publishNotReadyAddresses: true,
    selector: selectorOf(database),
    ports: [port("http", HTTP_PORT), port("probe", PROBE_PORT)],
  },
});
