/** Whose an object is that has a name which we need. */
import { expect, test } from "vitest";
import type { ObjectMeta } from "../../../src/operator/cluster/objects.ts";
import { ownershipOf } from "../../../src/operator/reconcile/ownership.ts";

const owner = { name: "metrics", uid: "u1", installation: "tsdb-system/tsdb-operator" };
const labels = { "tsdb.dev/database": "metrics" };
const annotations = { "tsdb.dev/installation": owner.installation };
const reference = (uid: string, name = "metrics", kind = "TimeSeriesDB") => ({
  ownerReferences: [{ apiVersion: "tsdb.dev/v1", kind, name, uid, controller: true }],
});

const cases: readonly {
  readonly what: string;
  readonly metadata: Omit<ObjectMeta, "name">;
  readonly service: string;
  readonly claim?: string;
}[] = [
  { what: "one made for this database", metadata: { labels, annotations, ...reference("u1") }, service: "ours" },
  { what: "one of ours whose labels somebody removed", metadata: { ...reference("u1") }, service: "ours" },
  { what: "one of an earlier database of the name", metadata: { labels, ...reference("u0") }, service: "leaving" },
  {
    what: "one of ours that is being deleted",
    metadata: { labels, ...reference("u1"), deletionTimestamp: "2026-11-25T12:00:00Z" },
    service: "leaving",
  },
  { what: "one of another database", metadata: { labels, ...reference("u2", "other") }, service: "foreign" },
  {
    what: "one of another controller",
    metadata: { labels, ...reference("u3", "metrics", "Helm") },
    service: "foreign",
  },
  { what: "one of nobody's", metadata: {}, service: "foreign" },
  { what: "one that was orphaned", metadata: { labels, annotations }, service: "ours" },
  { what: "a claim that a StatefulSet made", metadata: { labels }, service: "foreign", claim: "ours" },
  { what: "a claim of another database", metadata: { labels: { "tsdb.dev/database": "other" } }, service: "foreign" },
  {
    what: "one of another installation",
    metadata: { labels, annotations: { "tsdb.dev/installation": "a/b" }, ...reference("u1") },
    service: "another",
  },
  {
    what: "a claim kept by another installation",
    metadata: { labels, annotations: { "tsdb.dev/installation": "a/b" } },
    service: "another",
  },
];

test.each(cases)("$what is $service as a Service", ({ metadata, service, claim = service }) => {
  const named = { name: "metrics", ...metadata };
  expect(ownershipOf({ apiVersion: "v1", kind: "Service", metadata: named }, owner).kind).toBe(service);
  expect(ownershipOf({ apiVersion: "v1", kind: "PersistentVolumeClaim", metadata: named }, owner).kind).toBe(claim);
});
