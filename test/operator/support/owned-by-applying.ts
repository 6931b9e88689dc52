/**
 * What the API server writes down as ours when we apply an object, as far as our objects go: which lists it merges by which
 * keys, and what it takes as one value. Read from the server's own OpenAPI (x-kubernetes-list-type and -map-type); the suite
 * in e2e/cluster holds the same objects against a real one.
 */
import type { KubeObject, OwnedFields } from "../../../src/operator/cluster/objects.ts";

const listKeys: Readonly<Record<string, readonly string[]>> = {
  containers: ["name"],
  initContainers: ["name"],
  env: ["name"],
  volumes: ["name"],
  volumeMounts: ["mountPath"],
  imagePullSecrets: ["name"],
  ownerReferences: ["uid"],
};

const atomic =
  /^(tolerations|accessModes|volumeClaimTemplates|ingress|policyTypes|args|command|endpoints|selector|podSelector|nodeSelector|drop|targetLabels)$/;

export function ownedByApplying({ apiVersion: _a, kind: _k, metadata, ...rest }: KubeObject): OwnedFields {
  const { name: _n, namespace: _s, ...own } = metadata;
  return ownedIn({ metadata: own, ...rest });
}

/** Items that are one value, as the references in them make sense only as a whole. */
const atomicItems = new Set(["imagePullSecrets", "ownerReferences"]);

function ownedIn(object: object): OwnedFields {
  return Object.fromEntries(
    Object.entries(object)
      // An empty list with keys has no item to own, and is nothing itself.
      .filter(([name, value]) => value !== undefined && !(isEmptyList(value) && keysOf(name, value) !== undefined))
      .map(([name, value]) => [`f:${name}`, ownedBelow(name, value)]),
  );
}

const isEmptyList = (value: unknown): value is readonly [] => Array.isArray(value) && value.length === 0;

function keysOf(name: string, list: readonly object[]): readonly string[] | undefined {
  if (name === "ports") return [list.some((port) => "containerPort" in port) ? "containerPort" : "port", "protocol"];
  return listKeys[name];
}

function ownedBelow(name: string, value: unknown): OwnedFields {
  if (atomic.test(name) || typeof value !== "object" || value === null) return {};
  if (!Array.isArray(value)) return ownedIn(value);
  const keys = keysOf(name, value);
  if (keys === undefined) return {};
  return Object.fromEntries(
    value.map((item: Record<string, unknown>) => {
      const key = Object.fromEntries(keys.map((each) => [each, item[each] ?? "TCP"]));
      return [`k:${JSON.stringify(key)}`, atomicItems.has(name) ? {} : { ".": {}, ...ownedIn(item) }];
    }),
  );
}
