/**
 * The schema of a TimeSeriesDB is said twice: to the API server as a CustomResourceDefinition, and to the operator as code.
 * Here the real API server and the code are asked about the same resources.
 */
import fc from "fast-check";
import { expect } from "vitest";
import { readDatabase } from "../../../src/operator/desired/database.ts";
import { nearMiss, nearMissCount, names, validSpecs, type RawSpec } from "../../../test/operator/support/specs.ts";
import { field, type Answer } from "../support/api.ts";
import { test, type TestCluster } from "../support/test-cluster.ts";

const seed = Number(process.env["SEED"] ?? Date.now() % 2 ** 31);
const SPECS = 600;
const AT_ONCE = 8;

const resource = (name: string, spec: unknown) => ({
  apiVersion: "tsdb.dev/v1",
  kind: "TimeSeriesDB",
  metadata: { name },
  spec,
});
const collectionOf = ({ namespace }: TestCluster) => `/apis/tsdb.dev/v1/namespaces/${namespace}/timeseriesdbs`;

/** Nothing is kept, and everything is checked. */
const tryToCreate = (cluster: TestCluster, object: object): Promise<Answer> =>
  cluster.api.request("POST", `${collectionOf(cluster)}?dryRun=All`, object);

const codeTakes = ({ metadata, ...rest }: ReturnType<typeof resource>): boolean =>
  readDatabase({ ...rest, metadata: { ...metadata, namespace: "default", uid: "" } }).kind === "database";

test("the API server and the operator take the same specs, and refuse the same", async ({ cluster }) => {
  const valid = fc.sample(validSpecs, { seed, numRuns: SPECS });
  const specs: RawSpec[] = [...valid, ...valid.map((spec, i) => nearMiss(spec, i % nearMissCount))];
  expect(nearMissCount, "every near miss has its turn").toBeLessThan(SPECS);
  const disagreements: string[] = [];
  let accepted = 0;
  const work = specs.entries();
  const ask = async () => {
    for (const [i, spec] of work) {
      const object = resource("metrics", spec);
      const { status, body } = await tryToCreate(cluster, object);
      const isTaken = status === 201;
      expect([201, 422], `${status} ${JSON.stringify(body)}`).toContain(status === 400 ? 422 : status);
      if (isTaken) accepted++;
      if (isTaken !== codeTakes(object))
        disagreements.push(
          `${i}: the API server ${isTaken ? "takes" : "refuses"} ${JSON.stringify(spec).slice(0, 2000)}: ${String(body["message"])}`,
        );
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, ask));
  console.log(`${specs.length} specs, ${accepted} taken, ${disagreements.length} disagreements, seed ${seed}`);
  expect(disagreements, `seed ${seed}`).toEqual([]);
  expect(accepted / specs.length).toBeGreaterThan(0.4);
});

test("the API server and the operator take the same names", async ({ cluster }) => {
  for (const name of names) {
    const object = resource(name, { storage: { size: "1Gi" } });
    const { status, body } = await tryToCreate(cluster, object);
    expect(status === 201, `${name}: ${String(body["message"])}`).toBe(codeTakes(object));
  }
});

test("what comes later is refused with words that say so", async ({ cluster }) => {
  const storage = { size: "1Gi" };
  for (const [spec, message] of [
    [{ storage, replicas: 2 }, "more than one member is not supported yet; set spec.replicas to 1"],
    [{ storage, tls: { secretName: "a" } }, "TLS is not supported yet; remove spec.tls"],
    [{ storage, auth: {} }, "authentication is not supported yet; remove spec.auth"],
    [{ storage, backups: [] }, "backups are not supported yet; remove spec.backups"],
    [{ storage, restore: { id: "a" } }, "restoring is not supported yet; remove spec.restore"],
    [{ storage: { ...storage, autoGrow: {} } }, "automatic growth is not supported yet; remove spec.storage.autoGrow"],
    [{ storage, debug: { hold: [0] } }, "holding members is not supported yet; remove spec.debug.hold"],
  ] as const) {
    const { status, body } = await tryToCreate(cluster, resource("metrics", spec));
    expect([status, body["message"]]).toEqual([422, expect.stringContaining(message) as string]);
  }
});

test("a volume never shrinks and never changes its class, and what else there is may change", async ({ cluster }) => {
  const { api } = cluster;
  const reference = { apiVersion: "tsdb.dev/v1", kind: "TimeSeriesDB", name: "metrics", namespace: cluster.namespace };
  await cluster.apply(resource("metrics", { storage: { size: "10Gi", className: "fast" } }));
  await cluster.apply(resource("classless", { storage: { size: "10Gi" } }));
  const change = async (storage: object, name = "metrics"): Promise<string> => {
    const path = await api.pathOf({ ...reference, name });
    const patch = "application/merge-patch+json";
    const { status, body } = await api.request("PATCH", path, { spec: { storage } }, patch);
    return status === 200 ? "taken" : String(body["message"]);
  };
  expect(await change({ size: "9Gi" })).toContain("a volume cannot shrink");
  expect(await change({ size: "10239Mi" })).toContain("a volume cannot shrink");
  expect(await change({ size: "10240Mi" })).toBe("taken");
  expect(await change({ size: "20Gi", whenDeleted: "Delete" })).toBe("taken");
  for (const className of ["slow", "", null])
    expect(await change({ className })).toContain("the class of existing volumes cannot be changed");
  expect(await change({ className: "fast" }, "classless")).toContain("the class of existing volumes cannot be changed");
  expect(field(await api.get(reference), "spec.storage")).toEqual({
    size: "20Gi",
    className: "fast",
    whenDeleted: "Delete",
  });
});

test("the scale subresource answers, and takes no more members than there may be", async ({ cluster }) => {
  const { api, namespace } = cluster;
  await cluster.apply(resource("metrics", { storage: { size: "1Gi" } }));
  const path = `${collectionOf(cluster)}/metrics/scale`;
  const scale = await api.call("GET", path);
  expect(scale).toMatchObject({ kind: "Scale", metadata: { name: "metrics", namespace }, spec: { replicas: 1 } });
  const patch = "application/merge-patch+json";
  const { status, body } = await api.request("PATCH", path, { spec: { replicas: 3 } }, patch);
  expect([status, body["message"]]).toEqual([
    422,
    expect.stringContaining("more than one member is not supported yet") as string,
  ]);
});

test("what a podTemplate says is kept to the letter, whatever the API server thinks of pods", async ({ cluster }) => {
  const podTemplate = { spec: { containers: [{ name: "tsdb", someday: { new: [1, "x"] } }], gone: null } };
  const kept = await cluster.apply(resource("metrics", { storage: { size: "1Gi" }, podTemplate }));
  expect(field(kept, "spec.podTemplate")).toEqual(podTemplate);
});
