/** The harness itself: that the faults it makes are the faults that it says, on the real API server. */
import { expect } from "vitest";
import { until } from "../support/until.ts";
import { Api, ApiError, field } from "./support/api.ts";
import type { KubeObject, WatchEvent } from "./support/api.ts";
import { auditEvents } from "./support/audit.ts";
import { suite } from "./support/suite.ts";
import { test } from "./support/test-cluster.ts";
import type { TestCluster } from "./support/test-cluster.ts";
import type { Disturbance } from "./proxy/faults.ts";

const configMap = (name: string, data: Readonly<Record<string, string>> = {}): KubeObject => ({
  apiVersion: "v1",
  kind: "ConfigMap",
  metadata: { name },
  data,
});

/** A client that goes through the proxy. */
const throughProxy = (cluster: TestCluster): Promise<Api> =>
  Api.fromKubeconfig(cluster.proxy.kubeconfig(cluster.kubeconfig, cluster.workspace.path("proxied.kubeconfig")));

const here = ({ namespace }: TestCluster) => ({ apiVersion: "v1", kind: "ConfigMap", namespace });

test("what goes through the proxy is recorded in RBAC's words, and answered by the real API server", async ({
  cluster,
}) => {
  const api = await throughProxy(cluster);
  const { namespace } = cluster;
  await api.create({ ...configMap("one"), metadata: { name: "one", namespace } });
  await api.patch({ ...here(cluster), name: "one" }, { data: { a: "b" } });
  expect(field(await cluster.api.get({ ...here(cluster), name: "one" }), "data.a")).toBe("b");
  const [create, patch, ...more] = cluster.proxy.writes({ namespace });
  expect(more).toEqual([]);
  expect([create?.info.verb, create?.info.resource, create?.status]).toEqual(["create", "configmaps", 201]);
  expect([patch?.info.verb, patch?.info.name, patch?.status]).toEqual(["patch", "one", 200]);
  expect(patch?.body).toEqual({ data: { a: "b" } });
  api.close();
});

test("answers of errors, cut connections and lost answers come as asked for, and only as often", async ({
  cluster,
}) => {
  const api = await throughProxy(cluster);
  const name = { ...here(cluster), name: "one" };
  await cluster.apply(configMap("one"));
  const reads = { resource: "configmaps", verb: "get" } as const;

  cluster.proxy.inject(reads, { kind: "status", code: 429, retryAfterSeconds: 1 });
  const path = await api.pathOf(name);
  const busy = await api.request("GET", path);
  expect([busy.status, busy.headers["retry-after"], busy.body["reason"]]).toEqual([429, "1", "TooManyRequests"]);

  const reset = cluster.proxy.inject(reads, { kind: "reset" }, { times: 2 });
  await expect(api.get(name)).rejects.toThrow(/ECONNRESET|socket hang up/);
  await expect(api.get(name)).rejects.toThrow(/ECONNRESET|socket hang up/);
  expect(reset.hits).toBe(2);
  expect((await api.get(name)).metadata.name).toBe("one");

  cluster.proxy.inject({ verb: "create", resource: "configmaps" }, { kind: "lost-answer" });
  const made = { ...configMap("in-doubt"), metadata: { name: "in-doubt", namespace: cluster.namespace } };
  await expect(api.create(made)).rejects.toThrow(/ECONNRESET|socket hang up/);
  await expect(api.create(made)).rejects.toThrow(ApiError);
  api.close();
});

/** Events of a watch through the proxy until it ends, and how it ended. */
async function watched(cluster: TestCluster, api: Api, how: Disturbance) {
  const events: string[] = [];
  const aborted = new AbortController();
  const of = here(cluster);
  const ended = (async () => {
    try {
      for await (const event of api.watch(of, aborted.signal)) events.push(named(event));
      return "ended";
    } catch (thrown) {
      return thrown instanceof SyntaxError ? "garbage" : "broken";
    }
  })();
  const { proxy } = cluster;
  const watches = await until("the watch", () => {
    const open = proxy.watches({ resource: "configmaps", namespace: cluster.namespace });
    return open.length > 0 && events.length > 0 ? open : undefined;
  });
  for (const watch of watches) watch.disturb(how);
  await cluster.apply(configMap(`after-${how}`));
  const outcome = await Promise.race([ended, new Promise((resolve) => setTimeout(resolve, 1_000, "open"))]);
  if (how === "hold") {
    expect(events).not.toContain("ADDED after-hold");
    for (const watch of watches) watch.resume();
    await until("what was held back", () => (events.includes("ADDED after-hold") ? true : undefined));
  }
  aborted.abort();
  await ended;
  return { outcome, sawIt: events.includes(`ADDED after-${how}`), events };
}

const named = ({ type, object }: WatchEvent): string =>
  type === "ERROR" ? `ERROR ${String(object["code"])}` : `${type} ${object.metadata.name}`;

test("an open watch can be ended, cut, expired, silenced, held, and fed with garbage and half lines", async ({
  cluster,
}) => {
  const api = await throughProxy(cluster);
  await cluster.apply(configMap("before"));
  const end = await watched(cluster, api, "end");
  expect([end.outcome, end.sawIt]).toEqual(["ended", false]);
  expect((await watched(cluster, api, "cut")).outcome).toBe("broken");
  const gone = await watched(cluster, api, "gone");
  expect([gone.outcome, gone.events.at(-1)]).toEqual(["ended", "ERROR 410"]);
  const silence = await watched(cluster, api, "silence");
  expect([silence.outcome, silence.sawIt]).toEqual(["open", false]);
  const hold = await watched(cluster, api, "hold");
  expect([hold.outcome, hold.sawIt]).toEqual(["open", true]);
  expect((await watched(cluster, api, "garbage")).outcome).toBe("garbage");
  expect((await watched(cluster, api, "truncate")).outcome).toBe("garbage");
  api.close();
});

test("a control plane of one's own can be killed, frozen and started again with what it held", async ({
  ownCluster,
}) => {
  const { api, plane, namespace } = ownCluster;
  await ownCluster.apply(configMap("kept"));
  await plane!.stopApiServer("SIGKILL");
  await expect(api.list("v1", "ConfigMap", namespace)).rejects.toThrow(/ECONNREFUSED|ECONNRESET|socket hang up/);
  await plane!.startApiServer();
  expect((await api.get({ ...here(ownCluster), name: "kept" })).metadata.name).toBe("kept");
  plane!.apiServer.signal("SIGSTOP");
  const answer = api.get({ ...here(ownCluster), name: "kept" });
  expect(await Promise.race([answer, new Promise((resolve) => setTimeout(resolve, 1_000, "frozen"))])).toBe("frozen");
  plane!.apiServer.signal("SIGCONT");
  await answer;
});

test("the audit log tells who did what", async ({ cluster, skip }) => {
  const { own } = suite();
  if (own === undefined) return skip("KUBECONFIG names a cluster whose audit log is not ours to read");
  await cluster.apply(configMap("audited"));
  const event = await until("the audit event", () =>
    auditEvents(own.auditLog).find(({ name, namespace }) => name === "audited" && namespace === cluster.namespace),
  );
  expect(event).toMatchObject({ user: "admin", verb: "patch", resource: "configmaps", group: "", status: 201 });
});
