import { setTimeout as sleep } from "node:timers/promises";
import { expect, test } from "vitest";
import { ClusterError } from "../../../src/operator/cluster/errors.ts";
import { RESOURCES } from "../../../src/operator/cluster/objects.ts";
import type { KubeObject } from "../../../src/operator/cluster/objects.ts";
import { ManualClock } from "../../support/clock.ts";
import { ScriptedServer, clientOf, hang, json, kubeConfigFor, plain, reset, status } from "./scripted-server.ts";

const key = { namespace: "monitoring", name: "metrics" };
const service: KubeObject = { apiVersion: "v1", kind: "Service", metadata: key, spec: { type: "ClusterIP" } };

async function errorOf(promise: Promise<unknown>): Promise<ClusterError> {
  const error = await promise.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  expect(error).toBeInstanceOf(ClusterError);
  return error as ClusterError;
}

test("an apply sends what was built, byte for byte, under our name, strictly, and by force", async () => {
  await using server = await ScriptedServer.start(json(200, service));
  await using it = clientOf(server);
  const policy: KubeObject = {
    apiVersion: "networking.k8s.io/v1",
    kind: "NetworkPolicy",
    metadata: { ...key, labels: { ключ: "☃" } },
    spec: { ingress: [{ from: [{ podSelector: {} }], _from: "kept" }], newerField: { "x-y": [1.5, null, true] } },
  };
  await it.client.apply(policy);
  const [sent] = server.arrived;
  expect(sent!.body).toBe(JSON.stringify(policy));
  expect(sent!.method).toBe("PATCH");
  expect(sent!.path).toBe("/apis/networking.k8s.io/v1/namespaces/monitoring/networkpolicies/metrics");
  expect(sent!.headers["content-type"]).toBe("application/apply-patch+yaml");
  expect(sent!.query).toEqual({
    fieldManager: "tsdb-operator",
    force: "true",
    fieldValidation: "Strict",
    timeout: "30s",
  });
  expect(it.attempts).toEqual(["patch networkpolicies 200"]);
});

test("each verb goes to its own place", async () => {
  await using server = await ScriptedServer.start(
    json(200, { metadata: { name: "x", resourceVersion: "1" }, items: [] }),
  );
  await using it = clientOf(server);
  const { client } = it;
  const lease = { apiVersion: "coordination.k8s.io/v1", kind: "Lease", metadata: { ...key, resourceVersion: "1" } };
  const database = { apiVersion: "tsdb.dev/v1", kind: "TimeSeriesDB", metadata: key, status: {} };
  await client.get(RESOURCES.storageClass, { namespace: "", name: "fast" });
  await client.list(RESOURCES.pod, { labelSelector: "tsdb.dev/database", limit: 5, continueToken: "more" });
  await client.list(RESOURCES.pod, { namespace: "monitoring" });
  await client.applyStatus(database);
  await client.create({ apiVersion: "events.k8s.io/v1", kind: "Event", metadata: key });
  await client.update(lease);
  await client.delete(RESOURCES.networkPolicy, key, { uid: "u-1" });
  expect(server.arrived.map(({ method, path }) => `${method} ${path}`)).toEqual([
    "GET /apis/storage.k8s.io/v1/storageclasses/fast",
    "GET /api/v1/pods",
    "GET /api/v1/namespaces/monitoring/pods",
    "PATCH /apis/tsdb.dev/v1/namespaces/monitoring/timeseriesdbs/metrics/status",
    "POST /apis/events.k8s.io/v1/namespaces/monitoring/events",
    "PUT /apis/coordination.k8s.io/v1/namespaces/monitoring/leases/metrics",
    "DELETE /apis/networking.k8s.io/v1/namespaces/monitoring/networkpolicies/metrics",
  ]);
  expect(server.arrived[1]!.query).toEqual({ labelSelector: "tsdb.dev/database", limit: "5", continue: "more" });
  expect(JSON.parse(server.arrived[6]!.body)).toMatchObject({ preconditions: { uid: "u-1" } });
  expect(it.attempts).toContain("patch timeseriesdbs/status 200");
});

test("what must never happen is refused before anything is sent", async () => {
  await using server = await ScriptedServer.start(json(200, service));
  await using it = clientOf(server);
  const { client } = it;
  for (const type of Object.values(RESOURCES)) {
    if (["networkpolicies", "poddisruptionbudgets", "servicemonitors"].includes(type.plural)) continue;
    await expect(client.delete(type, key, { uid: "u" })).rejects.toThrow(`the operator never deletes ${type.plural}`);
  }
  await expect(client.apply({ ...service, status: {} })).rejects.toThrow("a status is applied by applyStatus");
  await expect(client.apply({ ...service, metadata: { ...key, resourceVersion: "1" } })).rejects.toThrow("not ours");
  await expect(client.apply({ ...service, metadata: { ...key, managedFields: [] } })).rejects.toThrow("not ours");
  await expect(client.apply({ ...service, metadata: { name: "metrics" } })).rejects.toThrow("in no namespace");
  await expect(client.update(service)).rejects.toThrow("only leases are replaced");
  expect(server.arrived).toEqual([]);
});

test("a list's items say what they are, and an empty list may be a null", async () => {
  await using server = await ScriptedServer.start(
    json(200, { metadata: { resourceVersion: "7", continue: "next" }, items: [{ metadata: { name: "metrics-0" } }] }),
    json(200, { metadata: { resourceVersion: "7", continue: "" }, items: null }),
  );
  await using it = clientOf(server);
  expect(await it.client.list(RESOURCES.pod, {})).toEqual({
    items: [{ apiVersion: "v1", kind: "Pod", metadata: { name: "metrics-0" } }],
    resourceVersion: "7",
    continueToken: "next",
  });
  expect(await it.client.list(RESOURCES.pod, {})).toEqual({
    items: [],
    resourceVersion: "7",
    continueToken: undefined,
  });
});

test("a refusal has the server's reason, its causes and its words", async () => {
  const causes = [{ reason: "FieldValueForbidden", message: "is immutable", field: "spec.storage" }];
  await using server = await ScriptedServer.start(status(422, "Invalid", {}, { causes }));
  await using it = clientOf(server);
  const error = await errorOf(it.client.apply(service));
  expect(error).toMatchObject({ status: 422, reason: "Invalid", causes, isInvalid: true, isTransient: false });
  expect(error.message).toBe("Cannot apply Service monitoring/metrics: it is Invalid");
  expect(server.arrived).toHaveLength(1);
});

test("an apply that was meant for an object's predecessor is a conflict, not an invalid object", async () => {
  // Word for word what the API server says.
  const message = 'Invalid value: "0f6a2f0e-0000-4000-8000-000000000000": field is immutable';
  const causes = [{ reason: "FieldValueInvalid", message, field: "metadata.uid" }];
  await using server = await ScriptedServer.start(status(422, "Invalid", {}, { causes }));
  await using it = clientOf(server);
  expect(await errorOf(it.client.apply(service))).toMatchObject({ isConflict: true, isInvalid: false });
});

test("only the API server's own 404 says that an object is not there", async () => {
  await using server = await ScriptedServer.start(
    status(404, "NotFound"),
    plain(404, "<html>nothing here</html>"),
    plain(404, "404 page not found"),
    status(404, "NotFound"),
  );
  await using it = clientOf(server);
  expect(await it.client.get(RESOURCES.service, key)).toBeUndefined();
  const page = await errorOf(it.client.get(RESOURCES.service, key));
  expect(page).toMatchObject({ status: 404, isNotFound: false, isNotServed: false });
  expect(page.message).toContain("nothing here");
  expect(await errorOf(it.client.list(RESOURCES.serviceMonitor, {}))).toMatchObject({ isNotServed: true });
  await it.client.delete(RESOURCES.podDisruptionBudget, key, { uid: "gone" });
});

test("a 429 is tried again when the server says, and not when that is too late", async () => {
  await using server = await ScriptedServer.start(
    status(429, "TooManyRequests", { "retry-after": "1" }),
    json(200, service),
  );
  const clock = new ManualClock();
  await using it = clientOf(server, { clock });
  const done = it.client.apply(service);
  while (clock.pendingTimers < 2) await sleep(1);
  clock.advance(900);
  await sleep(20);
  expect(server.arrived).toHaveLength(1);
  clock.advance(200);
  expect(await done).toEqual(service);
  expect(it.attempts).toEqual(["patch services 429", "patch services 200"]);

  server.answers = [status(429, "TooManyRequests", { "retry-after": "45" })];
  const error = await errorOf(it.client.apply(service));
  expect(error).toMatchObject({ status: 429, retryAfterMs: 45_000, isTransient: true });
});

test("a 429 that does not say when, and a 503 that does, are for the queue to wait for", async () => {
  await using server = await ScriptedServer.start(
    plain(429, "slow down"),
    status(503, "ServiceUnavailable", {}, { retryAfterSeconds: 2 }),
    status(500, "InternalError", { "retry-after": new Date(Date.now() + 60_000).toUTCString() }),
  );
  await using it = clientOf(server);
  expect(await errorOf(it.client.apply(service))).toMatchObject({ status: 429, retryAfterMs: undefined });
  expect(await errorOf(it.client.apply(service))).toMatchObject({ status: 503, retryAfterMs: 2_000 });
  const dated = await errorOf(it.client.apply(service));
  expect(dated.retryAfterMs).toBeGreaterThan(50_000);
  expect(dated.retryAfterMs).toBeLessThan(62_000);
  expect(server.arrived).toHaveLength(3);
});

test("a lost connection is tried again where twice does what once does, and only there", async () => {
  await using server = await ScriptedServer.start(reset, reset, json(200, service));
  await using it = clientOf(server);
  expect(await it.client.apply(service)).toEqual(service);
  expect(it.attempts).toEqual(["patch services none", "patch services none", "patch services 200"]);

  server.answers = [reset];
  server.arrived.length = 0;
  const event = { apiVersion: "events.k8s.io/v1", kind: "Event", metadata: key };
  expect(await errorOf(it.client.create(event))).toMatchObject({ status: 0, reason: "ConnectionFailed" });
  expect(server.arrived).toHaveLength(1);
  const error = await errorOf(it.client.get(RESOURCES.service, key));
  expect(error).toMatchObject({ reason: "ConnectionFailed", isTransient: true });
  expect(error.message).toContain(server.url);
  expect(server.arrived).toHaveLength(4);
});

test("an API server that is down is an error that names its address, at once", async () => {
  const server = await ScriptedServer.start(hang);
  const { url } = server;
  await server[Symbol.asyncDispose]();
  await using it = clientOf({ url });
  const error = await errorOf(it.client.get(RESOURCES.service, key));
  expect(error.message).toContain(`no connection to ${url}`);
  expect(error.message).toContain("ECONNREFUSED");
});

test("a server that takes a request and says nothing, or stops in the middle, is given 30 s", async () => {
  const clock = new ManualClock();
  const half: typeof hang = (response) => void response.writeHead(200).write('{"metadata":{"na');
  for (const silent of [hang, half]) {
    await using server = await ScriptedServer.start(silent);
    await using it = clientOf(server, { clock });
    const asked = errorOf(it.client.apply(service));
    while (server.arrived.length === 0) await sleep(1);
    await sleep(20);
    clock.advance(29_000);
    await sleep(20);
    clock.advance(1_000);
    expect(await asked).toMatchObject({ status: 0, reason: "Timeout", isTransient: true });
    expect(server.arrived).toHaveLength(1);
    expect(clock.pendingTimers).toBe(0);
  }
});

test("whoever asked may take it back", async () => {
  await using server = await ScriptedServer.start(hang);
  await using it = clientOf(server);
  const stop = new AbortController();
  const asked = errorOf(it.client.get(RESOURCES.service, key, { signal: stop.signal }));
  while (server.arrived.length === 0) await sleep(1);
  stop.abort();
  expect(await asked).toMatchObject({ reason: "Canceled" });
  expect(await errorOf(it.client.get(RESOURCES.service, key, { signal: stop.signal }))).toMatchObject({
    reason: "Canceled",
  });
  expect(server.arrived).toHaveLength(1);
});

test("an answer that is no object is an error, whatever its status", async () => {
  for (const body of ["", "<html>", "[]", "null", '{"kind":"Service"', '{"metadata":{}}', '"metadata"']) {
    await using server = await ScriptedServer.start(plain(200, body));
    await using it = clientOf(server);
    expect(await errorOf(it.client.get(RESOURCES.service, key))).toMatchObject({ status: 0, reason: "BadAnswer" });
  }
});

test("a redirect is not followed: the token is for the API server alone", async () => {
  await using elsewhere = await ScriptedServer.start(json(200, service));
  await using server = await ScriptedServer.start((response) =>
    response.writeHead(302, { location: `${elsewhere.url}/login` }).end(),
  );
  await using it = clientOf(server);
  expect(await errorOf(it.client.get(RESOURCES.service, key))).toMatchObject({ status: 302 });
  expect(elsewhere.arrived).toEqual([]);
});

test("a write is not sent by who does not lead; reads, and the lease itself, are", async () => {
  await using server = await ScriptedServer.start(json(200, { metadata: { name: "x" } }));
  await using it = clientOf(server, { mayWrite: () => false });
  const { client } = it;
  const lease = { apiVersion: "coordination.k8s.io/v1", kind: "Lease", metadata: { ...key, resourceVersion: "1" } };
  for (const write of [
    client.apply(service),
    client.applyStatus({ apiVersion: "tsdb.dev/v1", kind: "TimeSeriesDB", metadata: key, status: {} }),
    client.create({ apiVersion: "events.k8s.io/v1", kind: "Event", metadata: key }),
    client.mergeEvent(key, {}),
    client.delete(RESOURCES.networkPolicy, key, { uid: "u" }),
  ])
    expect(await errorOf(write)).toMatchObject({ reason: "NotLeader", isTransient: false });
  expect(server.arrived).toEqual([]);
  await client.get(RESOURCES.service, key);
  await client.create(lease);
  await client.update(lease);
  expect(server.arrived).toHaveLength(3);
});

test("who lost the lead while a write waited for its connection does not send it", async () => {
  let leads = true;
  await using server = await ScriptedServer.start(json(200, service));
  await using it = clientOf(server, { mayWrite: () => leads });
  const write = errorOf(it.client.apply(service));
  // The request is made, its connection is not there yet: as in a process that was frozen just then.
  await it.connection.route();
  await Promise.resolve();
  leads = false;
  expect(await write).toMatchObject({ reason: "NotLeader" });
  expect(server.arrived).toEqual([]);
});

test("who lost the lead between two attempts does not make the second", async () => {
  let leads = true;
  await using server = await ScriptedServer.start((response) => {
    leads = false;
    response.socket!.resetAndDestroy();
  });
  await using it = clientOf(server, { mayWrite: () => leads });
  expect(await errorOf(it.client.apply(service))).toMatchObject({ reason: "NotLeader" });
  expect(server.arrived).toHaveLength(1);
});

test("a 401 has the kubeconfig read again, once in a while", async () => {
  await using server = await ScriptedServer.start((response, { headers }) =>
    headers.authorization === "Bearer new"
      ? json(200, service)(response, server.arrived[0]!)
      : status(401, "Unauthorized")(response, server.arrived[0]!),
  );
  let token = "old";
  let loads = 0;
  const clock = new ManualClock();
  const load = (): ReturnType<typeof kubeConfigFor> => {
    loads++;
    return kubeConfigFor(server.url, token);
  };
  await using it = clientOf(server, { load, clock });
  expect(await errorOf(it.client.get(RESOURCES.service, key))).toMatchObject({ status: 401 });
  clock.advance(10_000);
  token = "new";
  expect(await it.client.get(RESOURCES.service, key)).toEqual(service);
  expect(loads).toBe(2);
});

test("a warning of the API server is handed on, quotes and all", async () => {
  await using server = await ScriptedServer.start(
    json(200, service, { warning: ['299 - "v1 is \\"old\\""', '299 k8s "would violate PodSecurity"'] }),
  );
  await using it = clientOf(server);
  await it.client.apply(service);
  expect(it.warnings).toEqual(['v1 is "old"', "would violate PodSecurity"]);
});

test("a hundred requests, one after another, share their connections", async () => {
  await using server = await ScriptedServer.start(json(200, service));
  await using it = clientOf(server);
  for (let i = 0; i < 100; i++) await it.client.get(RESOURCES.service, key);
  // The next one may be there before the last one has let go.
  expect(server.connections).toBeLessThanOrEqual(2);
});

test("a server behind a path is found there", async () => {
  await using server = await ScriptedServer.start(json(200, service));
  await using it = clientOf(server, { load: () => kubeConfigFor(`${server.url}/k8s/clusters/c-1/`) });
  await it.client.get(RESOURCES.service, key);
  expect(server.arrived[0]!.path).toBe("/k8s/clusters/c-1/api/v1/namespaces/monitoring/services/metrics");
});

const events = (...lines: readonly (object | string)[]): string =>
  lines.map((line) => `${typeof line === "string" ? line : JSON.stringify(line)}\n`).join("");
const pod = (name: string, resourceVersion: string): object => ({ kind: "Pod", metadata: { name, resourceVersion } });
const watchOptions = { resourceVersion: "5", timeoutSeconds: 300, labelSelector: "tsdb.dev/database" };

async function watched(
  text: string | Buffer[],
  end = true,
): Promise<{ seen: string[]; error: ClusterError | undefined }> {
  await using server = await ScriptedServer.start(async (response) => {
    response.writeHead(200);
    for (const chunk of typeof text === "string" ? [text] : text) {
      response.write(chunk);
      await sleep(2);
    }
    if (end) response.end();
    else response.socket!.resetAndDestroy();
  });
  await using it = clientOf(server);
  const seen: string[] = [];
  try {
    for await (const event of it.client.watch(RESOURCES.pod, watchOptions, new AbortController().signal))
      seen.push(
        event.type === "BOOKMARK" ? `BOOKMARK ${event.resourceVersion}` : `${event.type} ${event.object.metadata.name}`,
      );
  } catch (error) {
    return { seen, error: error as ClusterError };
  }
  expect(server.arrived[0]!.query).toMatchObject({ watch: "true", allowWatchBookmarks: "true", resourceVersion: "5" });
  return { seen, error: undefined };
}

test("a watch gives its events in order, and ends when the server ends it, wherever the chunks are cut", async () => {
  const text = events(
    { type: "ADDED", object: pod("é-0", "6") },
    { type: "BOOKMARK", object: { kind: "Pod", metadata: { resourceVersion: "9" } } },
    "",
    { type: "DELETED", object: pod("é-0", "10") },
  );
  const whole = { seen: ["ADDED é-0", "BOOKMARK 9", "DELETED é-0"], error: undefined };
  expect(await watched(text)).toEqual(whole);
  const bytes = Buffer.from(text);
  for (const size of [1, 7, 64]) {
    const chunks = [];
    for (let i = 0; i < bytes.length; i += size) chunks.push(bytes.subarray(i, i + size));
    expect(await watched(chunks)).toEqual(whole);
  }
});

test("a watch that breaks gives what came before, and says what broke", async () => {
  const added = { type: "ADDED", object: pod("a", "6") };
  const gone = { type: "ERROR", object: { kind: "Status", code: 410, reason: "Expired", message: "too old" } };
  const cases: { text: string; end?: boolean; reason: string; status: number }[] = [
    { text: events(added, gone), reason: "Expired", status: 410 },
    { text: events(added) + '{"type":"ADD', reason: "ConnectionFailed", status: 0 },
    { text: events(added), end: false, reason: "ConnectionFailed", status: 0 },
    { text: events(added, "}garbage{"), reason: "BadAnswer", status: 0 },
    { text: events(added, { type: "ADDED" }), reason: "BadAnswer", status: 0 },
    { text: events(added, { type: "RENAMED", object: pod("b", "7") }), reason: "BadAnswer", status: 0 },
    { text: events(added, { type: "MODIFIED", object: { metadata: { name: "b" } } }), reason: "BadAnswer", status: 0 },
    { text: events(added, { type: "MODIFIED", object: { metadata: null } }), reason: "BadAnswer", status: 0 },
  ];
  for (const { text, end, reason, status: code } of cases) {
    const { seen, error } = await watched(text, end);
    expect(seen, text).toEqual(["ADDED a"]);
    expect(error, text).toMatchObject({ reason, status: code });
  }
});

test("a watch that cannot begin says why, as any request does", async () => {
  await using server = await ScriptedServer.start(status(410, "Expired"), plain(503, "no backend"), reset);
  await using it = clientOf(server);
  const open = (): Promise<unknown> =>
    it.client.watch(RESOURCES.pod, watchOptions, new AbortController().signal).next();
  expect(await errorOf(open())).toMatchObject({ status: 410, isGone: true });
  expect(await errorOf(open())).toMatchObject({ status: 503 });
  expect(await errorOf(open())).toMatchObject({ reason: "ConnectionFailed" });
  expect(it.attempts).toEqual(["watch pods 410", "watch pods 503", "watch pods none"]);
});

test("a watch that is not wanted any more is closed on both sides", async () => {
  const closed: Promise<void>[] = [];
  await using server = await ScriptedServer.start((response) => {
    closed.push(new Promise((resolve) => void response.on("close", resolve)));
    response.writeHead(200).write(events({ type: "ADDED", object: pod("a", "6") }));
  });
  await using it = clientOf(server);
  for await (const event of it.client.watch(RESOURCES.pod, watchOptions, new AbortController().signal)) {
    expect(event.type).toBe("ADDED");
    break;
  }
  await closed[0];
  const stop = new AbortController();
  const watching = it.client.watch(RESOURCES.pod, watchOptions, stop.signal);
  await watching.next();
  const next = errorOf(watching.next());
  stop.abort();
  expect(await next).toMatchObject({ reason: "Canceled" });
  await closed[1];
});
