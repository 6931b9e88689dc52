import fc from "fast-check";
import { expect, test } from "vitest";
import { RESOURCES } from "../../../src/operator/cluster/objects.ts";
import type { KubeObject } from "../../../src/operator/cluster/objects.ts";
import { cachedOf, Store } from "../../../src/operator/cluster/store.ts";

function store(): { store: Store; changed: () => string[] } {
  let changes: string[] = [];
  const it = new Store({
    type: RESOURCES.service,
    ownerOf: ({ metadata }) => metadata.labels?.["tsdb.dev/database"],
    onChange: (owner) => changes.push(owner),
  });
  const changed = (): string[] => {
    const since = changes;
    changes = [];
    return since;
  };
  return { store: it, changed };
}

const service = (name: string, resourceVersion: string, owner?: string, namespace = "a"): KubeObject => ({
  apiVersion: "v1",
  kind: "Service",
  metadata: {
    name,
    namespace,
    resourceVersion,
    ...(owner === undefined ? {} : { labels: { "tsdb.dev/database": owner } }),
  },
});

const names = (it: Store, owner: string): string[] =>
  Array.from(it.ownedBy(owner), ({ object }) => object.metadata.name);

test("an owner is told of what comes, changes and goes, once each, and not of what it knows", () => {
  const { store: it, changed } = store();
  it.put(service("x", "1", "metrics"));
  expect(changed()).toEqual(["metrics"]);
  it.put(service("x", "1", "metrics"));
  expect(changed()).toEqual([]);
  it.put(service("x", "2", "metrics"));
  expect(changed()).toEqual(["metrics"]);
  it.remove(service("x", "3", "metrics"));
  expect(changed()).toEqual(["metrics"]);
  it.remove(service("x", "3", "metrics"));
  expect(changed()).toEqual([]);
  expect(it.size).toBe(0);
  expect(names(it, "metrics")).toEqual([]);
});

test("what changes hands is told to both, and belongs to the new one", () => {
  const { store: it, changed } = store();
  it.put(service("x", "1", "old"));
  it.put(service("x", "2", "new"));
  expect(changed()).toEqual(["old", "old", "new"]);
  expect(names(it, "old")).toEqual([]);
  expect(names(it, "new")).toEqual(["x"]);
  it.put(service("x", "3"));
  expect(names(it, "new")).toEqual([]);
  expect(changed()).toEqual(["new"]);
});

test("nothing goes back in time: neither by an event that is late nor by a list from before an own write", () => {
  const { store: it, changed } = store();
  const known = (): string | undefined => it.get({ namespace: "a", name: "x" })?.object.metadata.resourceVersion;
  it.put(service("x", "10", "metrics"));
  changed();
  it.put(service("x", "9", "metrics"));
  expect(known()).toBe("10");
  it.remove(service("x", "9", "metrics"));
  expect(known()).toBe("10");
  it.replace({ items: [cachedOf(service("x", "8", "metrics"))], resourceVersion: "9", isReset: false });
  expect(known()).toBe("10");
  it.replace({ items: [], resourceVersion: "9", isReset: false });
  expect(known()).toBe("10");
  expect(changed()).toEqual([]);
  it.replace({ items: [], resourceVersion: "11", isReset: false });
  expect(known()).toBeUndefined();
  expect(changed()).toEqual(["metrics"]);
});

test("after the server itself went back, its list counts", () => {
  const { store: it } = store();
  it.put(service("x", "10"));
  it.put(service("y", "11"));
  it.replace({ items: [cachedOf(service("x", "5"))], resourceVersion: "6", isReset: true });
  expect(Array.from(it.all(), ({ object }) => object.metadata.resourceVersion)).toEqual(["5"]);
});

test("a list of one namespace says nothing of the others", () => {
  const { store: it } = store();
  it.put(service("x", "1", undefined, "a"));
  it.put(service("x", "2", undefined, "b"));
  it.replace({ items: [], resourceVersion: "9", namespace: "a", isReset: false });
  expect(Array.from(it.all(), ({ object }) => object.metadata.namespace)).toEqual(["b"]);
});

test("versions that are no numbers are taken in the order in which they come", () => {
  const { store: it } = store();
  it.put(service("x", "v-b"));
  it.put(service("x", "v-a"));
  expect(it.get({ namespace: "a", name: "x" })?.object.metadata.resourceVersion).toBe("v-a");
});

test("what belongs to an owner is what a search through everything finds", () => {
  const owners = fc.constantFrom(undefined, "p", "q");
  const step = fc.record({
    act: fc.constantFrom("put", "remove", "replace"),
    name: fc.constantFrom("x", "y", "z"),
    owner: owners,
  });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
      const { store: it } = store();
      steps.forEach(({ act, name, owner }, i) => {
        const object = service(name, String(i + 1), owner);
        if (act === "put") it.put(object);
        else if (act === "remove") it.remove(object);
        else it.replace({ items: [cachedOf(object)], resourceVersion: String(i + 1), isReset: false });
        for (const one of ["p", "q"])
          expect(names(it, one).sort()).toEqual(
            Array.from(it.all(), (cached) => cached.object.metadata)
              .filter(({ labels }) => labels?.["tsdb.dev/database"] === one)
              .map((metadata) => metadata.name)
              .sort(),
          );
      });
    }),
  );
});
