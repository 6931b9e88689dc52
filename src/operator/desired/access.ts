/** Who may do what: the pods' account, which may nothing, and the policy of who may reach them. */
import type { Database, Facts } from "./facts.ts";
import type { KubeObject } from "../cluster/objects.ts";
import { MANAGER, metadataOf, selectorOf } from "./metadata.ts";
import { networkPolicyName, serviceAccountName } from "./names.ts";

export const serviceAccount = (database: Database, facts: Facts): KubeObject => ({
  apiVersion: "v1",
  kind: "ServiceAccount",
  metadata: metadataOf(database, facts, serviceAccountName(database), {
    annotations: database.spec.serviceAccount?.annotations,
  }),
  automountServiceAccountToken: false,
});

/** @returns undefined when nobody is kept out */
export function networkPolicy(database: Database, facts: Facts): KubeObject | undefined {
  const allowFrom = database.spec.network?.allowFrom;
  if (allowFrom === undefined) return undefined;
  const { operatorNamespace } = facts;
  const operator = operatorNamespace !== undefined && {
    namespaceSelector: { matchLabels: { "kubernetes.io/metadata.name": operatorNamespace } },
    podSelector: { matchLabels: { "app.kubernetes.io/name": MANAGER } },
  };
  return {
    apiVersion: "networking.k8s.io/v1",
    kind: "NetworkPolicy",
    metadata: metadataOf(database, facts, networkPolicyName(database)),
    spec: {
      podSelector: { matchLabels: selectorOf(database) },
      policyTypes: ["Ingress"],
      ingress: [
        // A rule whose `from` is empty lets everybody in: nobody is said by leaving the rule out.
        ...(allowFrom.length === 0 ? [] : [{ from: allowFrom, ports: [{ port: "http", protocol: "TCP" }] }]),
        // An operator outside of the cluster has no labels to be let in by; the probe port tells states, and no data.
        { ...(operator && { from: [operator] }), ports: [{ port: "probe", protocol: "TCP" }] },
      ],
    },
  };
}
