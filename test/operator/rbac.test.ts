/** What the operator must never be allowed, whatever else changes. */
import { expect, test } from "vitest";
import { databaseRules, leaseRules, type PolicyRule } from "../../src/operator/rbac.ts";
import { RESOURCES } from "../../src/operator/cluster/objects.ts";

const all: readonly PolicyRule[] = [...databaseRules, ...leaseRules];
const verbsOn = (resource: string): readonly string[] =>
  all.filter(({ resources }) => resources.includes(resource)).flatMap(({ verbs }) => verbs);

test("there are no wildcards, no Secrets, and nothing that runs in or ends a pod", () => {
  expect(JSON.stringify(all)).not.toContain("*");
  for (const resource of ["secrets", "pods/exec", "pods/eviction", "nodes", "nodes/proxy", "serviceaccounts/token"])
    expect(verbsOn(resource)).toEqual([]);
  expect(verbsOn("pods")).toEqual(["list", "watch"]);
  expect(all.flatMap(({ verbs }) => verbs)).not.toContain("deletecollection");
});

test("what holds data cannot be deleted", () => {
  const deletable = all.filter(({ verbs }) => verbs.includes("delete")).flatMap(({ resources }) => resources);
  expect(deletable).toEqual(["networkpolicies", "servicemonitors", "poddisruptionbudgets"]);
});

test("every resource is one that the operator knows, and is named once", () => {
  const known = new Set(Object.values(RESOURCES).map(({ group, plural }) => `${group}/${plural}`));
  const named = all.map(({ apiGroups, resources }) => `${apiGroups[0]}/${resources[0]}`);
  expect(new Set(named).size).toBe(named.length);
  for (const name of named) expect(known).toContain(name.replace(/\/status$/, ""));
});
