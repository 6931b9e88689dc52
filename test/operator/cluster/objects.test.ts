import fc from "fast-check";
import { expect, test } from "vitest";
import {
  RESOURCES,
  apiVersionOf,
  compareResourceVersions,
  keyText,
  microTime,
  parseKey,
  secondTime,
  typeOf,
} from "../../../src/operator/cluster/objects.ts";
import { FIELD_MANAGER, ownedFields, withoutManagedFields } from "../../../src/operator/cluster/owned-fields.ts";

test("an object's resource is found by its apiVersion and kind, and what is none of ours is a bug", () => {
  for (const type of Object.values(RESOURCES))
    expect(typeOf({ apiVersion: apiVersionOf(type), kind: type.kind })).toBe(type);
  expect(() => typeOf({ apiVersion: "v1", kind: "Secret" })).toThrow("v1 Secret is no resource of the operator's");
});

test("a key's text reads back as the key", () => {
  for (const key of [
    { namespace: "monitoring", name: "metrics" },
    { namespace: "", name: "fast" },
  ])
    expect(parseKey(keyText(key))).toEqual(key);
});

test("resource versions are ordered as numbers, however long, and what is no number has no order", () => {
  const bigs = fc.bigInt({ min: 0n, max: 2n ** 80n });
  fc.assert(
    fc.property(bigs, bigs, (a, b) => {
      expect(Math.sign(compareResourceVersions(String(a), String(b))!)).toBe(a < b ? -1 : a > b ? 1 : 0);
    }),
  );
  for (const odd of [undefined, "", "abc", "007", "1.5", "-1"]) {
    expect(compareResourceVersions(odd, "1")).toBeUndefined();
    expect(compareResourceVersions("1", odd)).toBeUndefined();
  }
});

test("times are written as the API server wants them: six digits or none", () => {
  const ms = Date.UTC(2026, 10, 25, 18, 30, 5, 70);
  expect(microTime(ms)).toBe("2026-11-25T18:30:05.070000Z");
  expect(secondTime(ms)).toBe("2026-11-25T18:30:05Z");
});

test("what the operator owns is what it applied, without its status, what was updated under its name, and what is of others", () => {
  const object = {
    apiVersion: "v1",
    kind: "Service",
    metadata: {
      name: "metrics",
      managedFields: [
        { manager: "tsdb-operator", operation: "Apply", fieldsV1: { "f:spec": { "f:ports": { ".": {} } } } },
        { manager: "tsdb-operator", operation: "Apply", fieldsV1: { "f:spec": { "f:selector": {} } } },
        { manager: "tsdb-operator", operation: "Update", fieldsV1: { "f:spec": { "f:type": {} } } },
        { manager: "tsdb-operator", operation: "Apply", subresource: "status", fieldsV1: { "f:status": {} } },
        { manager: "kubectl", operation: "Update", fieldsV1: { "f:metadata": { "f:labels": {} } } },
      ],
    },
  };
  expect(ownedFields(object)).toEqual({ "f:spec": { "f:ports": { ".": {} }, "f:selector": {} } });
  expect(ownedFields({ ...object, metadata: { name: "metrics" } })).toEqual({});
  expect(withoutManagedFields(object)).toEqual({ apiVersion: "v1", kind: "Service", metadata: { name: "metrics" } });
});

test("what many objects own alike is kept once", () => {
  const owned = (uid: string, ...fields: readonly string[]) => {
    const spec = Object.fromEntries(fields.map((field) => [`f:${field}`, {}]));
    const fieldsV1 = { "f:metadata": { "f:ownerReferences": { [`k:{"uid":"${uid}"}`]: {} } }, "f:spec": spec };
    const managedFields = [{ manager: FIELD_MANAGER, operation: "Apply", fieldsV1 }];
    return ownedFields({ apiVersion: "v1", kind: "Service", metadata: { name: uid, managedFields } });
  };
  const [one, other, third] = [owned("a", "ports"), owned("b", "ports"), owned("c", "ports", "type")];
  expect(one["f:spec"]).toBe(other["f:spec"]);
  expect(third["f:spec"]).toEqual({ "f:ports": {}, "f:type": {} });
  expect(other["f:metadata"]).toEqual({ "f:ownerReferences": { 'k:{"uid":"b"}': {} } });
});
