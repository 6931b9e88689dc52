/**
 * What the API server saw of the operator over all tests of a run. Runs after them, and means something only when all ran:
 * of a part, only what must never happen is judged.
 */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { basename, join } from "node:path";
import { expect, test } from "vitest";
import { databaseRules, leaseRules } from "../../src/operator/rbac.ts";
import { auditEvents } from "./support/audit.ts";
import type { AuditEvent } from "./support/audit.ts";
import { SERVICE_ACCOUNT } from "./support/operator.ts";
import { suite } from "./support/suite.ts";

const { folder, own } = suite();
/** Of a cluster that KUBECONFIG names, the audit log is not ours to read. */
const isForeign = own === undefined;

/** Whether every file of tests ran; of a part it cannot be said what is never used. */
function isWhole(): boolean {
  const ran = existsSync(join(folder, "ran")) ? readFileSync(join(folder, "ran"), "utf8").split("\n") : [];
  const all = readdirSync(import.meta.dirname, { recursive: true, encoding: "utf8" });
  return all.filter((path) => /(?<!audit)\.test\.ts$/.test(path)).every((path) => ran.includes(basename(path)));
}

/** What operators asked for, on the cluster that tests share and on those they had to themselves. */
function operatorEvents(): AuditEvent[] {
  const folderOfKept = join(folder, "audit");
  const kept = readdirSync(folderOfKept).map((name) => join(folderOfKept, name));
  const ofOperator = new RegExp(`^system:serviceaccount:[^:]+:${SERVICE_ACCOUNT}$`);
  return [...(own === undefined ? [] : [own.auditLog]), ...kept]
    .flatMap((path) => auditEvents(path))
    .filter(({ user }) => ofOperator.test(user));
}

/** `verb group/resource/subresource`, as rules and requests both say it. */
const rightOf = (verb: string, group: string, resource: string): string => `${verb} ${group}/${resource}`;

const granted = new Set(
  [...databaseRules, ...leaseRules].flatMap(({ apiGroups, resources, verbs }) =>
    apiGroups.flatMap((group) => resources.flatMap((resource) => verbs.map((verb) => rightOf(verb, group, resource)))),
  ),
);

/** What the authorizer was asked for; an apply that made an object was asked for `create` besides. */
function rightsUsed({ verb, group, resource, subresource, status }: AuditEvent): string[] {
  const what = subresource === "" ? resource : `${resource}/${subresource}`;
  return [verb, ...(verb === "patch" && status === 201 ? ["create"] : [])].map((one) => rightOf(one, group, what));
}

test.skipIf(isForeign)("no operator deleted a StatefulSet, a claim or a pod", () => {
  const deletions = operatorEvents().filter(({ verb }) => verb.startsWith("delete"));
  const data = new Set(["statefulsets", "persistentvolumeclaims", "pods", "timeseriesdbs"]);
  expect(deletions.filter(({ resource }) => data.has(resource))).toEqual([]);
});

test.skipIf(isForeign)("no operator asked for a Secret, nor for a shell in a pod", () => {
  const events = operatorEvents();
  expect(events.length).toBeGreaterThan(0);
  expect(events.filter(({ resource, subresource }) => resource === "secrets" || subresource === "exec")).toEqual([]);
});

test.skipIf(isForeign)("rights that were used and not granted: none", () => {
  // What was denied would show here too: a request is logged with the right it lacked.
  const used = new Set(
    operatorEvents()
      .filter(({ resource }) => resource !== "")
      .flatMap(rightsUsed),
  );
  expect([...used].filter((right) => !granted.has(right))).toEqual([]);
});

test.skipIf(isForeign || !isWhole())("rights that were granted and not used by any test: none", () => {
  const used = new Set(operatorEvents().flatMap(rightsUsed));
  expect([...granted].filter((right) => !used.has(right))).toEqual([]);
});
