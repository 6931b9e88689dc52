/** What the builders make, on a real API server: taken to the letter, found again, and taken back. */
import fc from "fast-check";
import { expect } from "vitest";
import type { KubeObject } from "../../../src/operator/cluster/objects.ts";
import { ownedFields, withoutManagedFields } from "../../../src/operator/cluster/owned-fields.ts";
import { readDatabase } from "../../../src/operator/desired/database.ts";
import { desired, type DesiredObjects } from "../../../src/operator/desired/desired.ts";
import { difference } from "../../../src/operator/reconcile/difference.ts";
import { optionalFields, validSpecs, type RawSpec } from "../../../test/operator/support/specs.ts";
import { ownedByApplying } from "../../../test/operator/support/owned-by-applying.ts";
import { at, templateOf } from "../../../test/operator/support/databases.ts";
import { test, type TestCluster } from "../support/test-cluster.ts";

const seed = Number(process.env["SEED"] ?? Date.now() % 2 ** 31);

const APPLY = "application/apply-patch+yaml";

/** What a run of the operator does, without its client, cache and queue: the builders and the comparison alone. */
class Bench {
  readonly #cluster: TestCluster;
  readonly #uid: string;

  private constructor(cluster: TestCluster, uid: string) {
    this.#cluster = cluster;
    this.#uid = uid;
  }

  static async open(cluster: TestCluster): Promise<Bench> {
    // A real owner, so that nothing is collected; it asks for nothing itself.
    const owner = await cluster.apply({
      apiVersion: "tsdb.dev/v1",
      kind: "TimeSeriesDB",
      metadata: { name: "metrics" },
      spec: { storage: { size: "10Gi" } },
    });
    return new Bench(cluster, owner.metadata.uid!);
  }

  /** The stored object and what of it is ours. */
  async live(of: KubeObject) {
    const found = (await this.#cluster.api.find(referenceTo(of))) as KubeObject | undefined;
    return found && { object: withoutManagedFields(found), owned: ownedFields(found) };
  }

  async wanted(spec: RawSpec): Promise<DesiredObjects> {
    const { namespace } = this.#cluster;
    const reference = { metadata: { name: "metrics", namespace } };
    const claim = { apiVersion: "v1", kind: "PersistentVolumeClaim", metadata: { name: "data-metrics-0", namespace } };
    const liveClaim = await this.live(claim);
    const read = readDatabase({
      apiVersion: "tsdb.dev/v1",
      kind: "TimeSeriesDB",
      metadata: { name: "metrics", namespace, uid: this.#uid },
      spec,
    });
    expect(read).toMatchObject({ kind: "database" });
    const made = desired((read as Extract<typeof read, { kind: "database" }>).database, {
      installation: "e2e/e2e",
      defaultImage: "registry.example/tsdb:1.0.0",
      operatorNamespace: "tsdb-system",
      hasServiceMonitors: false,
      statefulSet: (await this.live({ apiVersion: "apps/v1", kind: "StatefulSet", ...reference }))?.object,
      claims: new Map(liveClaim && [["data-metrics-0", liveClaim.object]]),
      partition: 0,
      restart: undefined,
    });
    expect(made).toMatchObject({ kind: "objects" });
    return made as DesiredObjects;
  }

  async apply(object: KubeObject): Promise<void> {
    const path = await this.#cluster.api.pathOf(referenceTo(object));
    const query = "fieldManager=tsdb-operator&force=true&fieldValidation=Strict";
    await this.#cluster.api.call("PATCH", `${path}?${query}`, object, APPLY);
  }

  /** Applies what differs, then looks again. @returns how many writes that took */
  async reconcile(spec: RawSpec): Promise<number> {
    let writes = 0;
    const { objects, unwanted } = await this.wanted(spec);
    for (const object of objects) {
      const live = await this.live(object);
      if (difference(object, live?.object, live?.owned) === undefined) continue;
      await this.apply(object);
      writes++;
    }
    for (const { apiVersion, kind, name, namespace } of unwanted)
      await this.#cluster.api.delete({ apiVersion, kind, name, namespace });
    for (const object of (await this.wanted(spec)).objects) {
      const live = await this.live(object);
      expect(
        difference(object, live?.object, live?.owned),
        `${object.kind}, ${JSON.stringify(spec)}, seed ${seed}`,
      ).toBe(undefined);
    }
    return writes;
  }
}

const referenceTo = ({ apiVersion, kind, metadata }: KubeObject) => ({
  apiVersion,
  kind,
  name: metadata.name,
  ...(metadata.namespace === undefined ? {} : { namespace: metadata.namespace }),
});

/** Without a class: other tests of the same cluster bring a default one and take it away. */
const storage = { size: "10Gi", className: "" };

test("whatever is asked for after whatever was, a second look finds nothing to do", async ({ cluster }) => {
  const bench = await Bench.open(cluster);
  let writes = 0;
  // Growth needs a class that allows it; everything else may come after anything.
  for (const spec of fc.sample(validSpecs, { seed, numRuns: 40 }))
    writes += await bench.reconcile({ ...spec, storage });
  console.log(`${writes} writes for 40 specs, seed ${seed}`);
});

test("every optional field that was set is gone when it is unset", async ({ cluster }) => {
  const bench = await Bench.open(cluster);
  await bench.reconcile({ storage });
  const { objects } = await bench.wanted({ storage });
  const ownedNow = async () =>
    Object.fromEntries(
      await Promise.all(
        objects.map(async (object) => [object.kind + object.metadata.name, (await bench.live(object))?.owned] as const),
      ),
    );
  const before = await ownedNow();
  for (const [name, values] of Object.entries(optionalFields)) {
    for (const value of fc.sample(values, { seed, numRuns: 4 })) {
      await bench.reconcile({ storage, [name]: value });
      await bench.reconcile({ storage });
      expect(await ownedNow(), `${name}: ${JSON.stringify(value)}, seed ${seed}`).toEqual(before);
    }
  }
});

test("the server says of our objects what the tests without a server take it to say", async ({ cluster }) => {
  const bench = await Bench.open(cluster);
  for (const spec of fc.sample(validSpecs, { seed, numRuns: 10 })) {
    await bench.reconcile({ ...spec, storage });
    for (const object of (await bench.wanted({ ...spec, storage })).objects)
      expect((await bench.live(object))?.owned, `${object.kind}, ${JSON.stringify(spec)}`).toEqual(
        ownedByApplying(object),
      );
  }
});

test("the same in other words is the same", async ({ cluster }) => {
  const bench = await Bench.open(cluster);
  await bench.reconcile({ storage, resources: { requests: { cpu: "1", memory: "1Gi" }, limits: { cpu: 2 } } });
  expect(
    await bench.reconcile({
      storage: { ...storage, size: "10240Mi" },
      resources: { requests: { cpu: "1000m", memory: "1024Mi" }, limits: { cpu: "2000m" } },
    }),
    // The hash of what is asked for is another, and the pods' template is not.
  ).toBeLessThanOrEqual(1);
});

test("pods are admitted where Pod Security is restricted", async ({ cluster }) => {
  const { api, namespace } = cluster;
  const reference = { apiVersion: "v1", kind: "Namespace", name: namespace };
  await api.patch(reference, { metadata: { labels: { "pod-security.kubernetes.io/enforce": "restricted" } } });
  const bench = await Bench.open(cluster);
  const create = (pod: object) => api.request("POST", `/api/v1/namespaces/${namespace}/pods?dryRun=All`, pod);
  const privileged = { name: "a", image: "a" };
  const refused = await create({
    apiVersion: "v1",
    kind: "Pod",
    metadata: { name: "a" },
    spec: { containers: [privileged] },
  });
  expect(refused.status, "the admission is on").toBe(403);
  for (const spec of fc.sample(validSpecs, { seed, numRuns: 10 })) {
    const made = await bench.wanted({ ...spec, storage, podTemplate: {} });
    for (const object of made.objects) if (object.kind === "ServiceAccount") await bench.apply(object);
    const { metadata, spec: pod } = templateOf(made);
    const volumes = [...pod.volumes, { name: "data", persistentVolumeClaim: { claimName: "data-metrics-0" } }];
    const { status, body } = await create({
      apiVersion: "v1",
      kind: "Pod",
      metadata: { ...metadata, name: "metrics-0" },
      spec: { ...pod, volumes },
    });
    expect([status, at(body, "message")]).toEqual([201, undefined]);
  }
});
