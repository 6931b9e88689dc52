import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { KubeConfig } from "@kubernetes/client-node";
import { TsdbError } from "../../../src/base/errors.ts";
import { Connection, loadKubeConfig } from "../../../src/operator/cluster/connection.ts";
import { RESOURCES } from "../../../src/operator/cluster/objects.ts";
import { ManualClock } from "../../support/clock.ts";
import { ScriptedServer, clientOf, json, kubeConfigFor } from "./scripted-server.ts";

const directory = mkdtempSync(join(tmpdir(), "tsdb-kubeconfig-"));
afterAll(() => rmSync(directory, { recursive: true }));
const inDirectory = (name: string, text: string): string => {
  writeFileSync(join(directory, name), text);
  return join(directory, name);
};

const key = { namespace: "monitoring", name: "metrics" };
const object = { apiVersion: "v1", kind: "Service", metadata: key };

const configWith = (fields: { server: string; user?: object; cluster?: object }): KubeConfig => {
  const config = new KubeConfig();
  config.loadFromString(
    JSON.stringify({
      clusters: [
        { name: "c", cluster: { server: fields.server, "insecure-skip-tls-verify": true, ...fields.cluster } },
      ],
      users: [{ name: "u", user: fields.user ?? {} }],
      contexts: [{ name: "here", context: { cluster: "c", user: "u", namespace: "mine\n" } }],
      "current-context": "here",
    }),
  );
  return config;
};

const problem = (load: () => KubeConfig): TsdbError => {
  try {
    return expect.fail(new Connection(load, new ManualClock()).server);
  } catch (error) {
    expect(error).toBeInstanceOf(TsdbError);
    return error as TsdbError;
  }
};

test("a token that is rotated in its file is used within a minute or so, and no line end of the file is sent", async () => {
  await using server = await ScriptedServer.start(json(200, object));
  const tokenFile = inDirectory("token", "first\n");
  const load = (): KubeConfig =>
    configWith({ server: server.url, user: { "auth-provider": { name: "tokenFile", config: { tokenFile } } } });
  const clock = new ManualClock();
  await using it = clientOf(server, { load, clock });
  await it.client.get(RESOURCES.service, key);
  expect(server.arrived.at(-1)?.headers.authorization).toBe("Bearer first");
  // What reads the file looks at its own clock; a configuration loaded anew starts it again.
  inDirectory("token", "second\n");
  clock.advance(10_000);
  it.connection.reload();
  await it.client.get(RESOURCES.service, key);
  expect(server.arrived.at(-1)?.headers.authorization).toBe("Bearer second");
});

test("a kubeconfig that is being written when it is read again leaves the old one in force", async () => {
  let isWhole = true;
  const load = (): KubeConfig => (isWhole ? configWith({ server: "https://x" }) : configWith({ server: "half" }));
  const clock = new ManualClock();
  const connection = new Connection(load, clock);
  clock.advance(10_000);
  isWhole = false;
  expect(connection.reload()).toBe(false);
  expect(connection.server).toBe("https://x");
  isWhole = true;
  expect(connection.reload()).toBe(false);
  clock.advance(10_000);
  expect(connection.reload()).toBe(true);
});

test("another authority makes another pool; what is the same keeps the old one", async () => {
  await using server = await ScriptedServer.start(json(200, object));
  const caFile = inDirectory("ca.crt", "first");
  const clock = new ManualClock();
  await using it = clientOf(server, {
    load: () => configWith({ server: server.url, cluster: { "certificate-authority": caFile } }),
    clock,
  });
  const pool = async (): Promise<object> => (await it.connection.route()).dispatcher;
  const first = await pool();
  clock.advance(1_000);
  expect(await pool()).toBe(first);
  inDirectory("ca.crt", "second");
  expect(await pool()).toBe(first);
  clock.advance(1_000);
  expect(await pool()).not.toBe(first);
  await it.client.get(RESOURCES.service, key);
});

test("credentials that cannot be read are an error of the request, and the next one tries again", async () => {
  await using server = await ScriptedServer.start(json(200, object));
  const caFile = join(directory, "later.crt");
  await using it = clientOf(server, {
    load: () => configWith({ server: server.url, cluster: { "certificate-authority": caFile } }),
  });
  await expect(it.client.get(RESOURCES.service, key)).rejects.toMatchObject({
    reason: "NoCredentials",
    isTransient: true,
  });
  inDirectory("later.crt", "here now");
  expect(await it.client.get(RESOURCES.service, key)).toEqual(object);
});

test("what is under way when the connection is closed ends, and nothing begins anew", async () => {
  await using server = await ScriptedServer.start(() => {});
  await using it = clientOf(server);
  const asked = it.client.get(RESOURCES.service, key).catch((error: unknown) => error);
  while (server.arrived.length === 0) await new Promise((resolve) => setTimeout(resolve, 1));
  await it.connection.close();
  expect(await asked).toMatchObject({ status: 0 });
  await expect(it.client.get(RESOURCES.service, key)).rejects.toThrow("the connection is closed");
  expect(server.arrived).toHaveLength(1);
});

test("a user and a password are basic authentication", async () => {
  await using server = await ScriptedServer.start(json(200, object));
  await using it = clientOf(server, {
    load: () => configWith({ server: server.url, user: { username: "ann", password: "é:x" } }),
  });
  await it.client.get(RESOURCES.service, key);
  expect(server.arrived[0]!.headers.authorization).toBe(`Basic ${Buffer.from("ann:é:x").toString("base64")}`);
});

test("a plug-in that hangs is waited for no longer than a call may take", async () => {
  const clock = new ManualClock();
  const exec = {
    apiVersion: "client.authentication.k8s.io/v1",
    command: process.execPath,
    args: ["-e", "setTimeout(() => {}, 3000)"],
  };
  await using it = clientOf(
    { url: "http://127.0.0.1:1" },
    { load: () => configWith({ server: "http://127.0.0.1:1", user: { exec } }), clock },
  );
  const asked = it.client.get(RESOURCES.service, key).catch((error: unknown) => error);
  await new Promise((resolve) => setTimeout(resolve, 50));
  clock.advance(30_000);
  expect(await asked).toMatchObject({ reason: "Timeout" });
});

test("a plug-in is asked once for many requests at a time", async () => {
  await using server = await ScriptedServer.start(json(200, object));
  const credential = '{"kind":"ExecCredential","status":{"token":"from the plug-in"}}';
  const log = join(directory, "plug-in.log");
  const script = `require("fs").appendFileSync(${JSON.stringify(log)}, "x"); console.log(${JSON.stringify(credential)})`;
  const exec = { apiVersion: "client.authentication.k8s.io/v1", command: process.execPath, args: ["-e", script] };
  await using it = clientOf(server, { load: () => configWith({ server: server.url, user: { exec } }) });
  await Promise.all(Array.from({ length: 8 }, () => it.client.get(RESOURCES.service, key)));
  expect(server.arrived.every(({ headers }) => headers.authorization === "Bearer from the plug-in")).toBe(true);
  expect(readFileSync(log, "utf8")).toBe("x");
});

test("the namespace is that of the context, without the line end that a file has", () => {
  expect(new Connection(() => configWith({ server: "https://x" }), new ManualClock()).namespace).toBe("mine");
  expect(new Connection(() => kubeConfigFor("https://x"), new ManualClock()).namespace).toBeUndefined();
});

test("a kubeconfig that leads nowhere is told what is wrong with it", () => {
  const nothing = (): KubeConfig => {
    const config = new KubeConfig();
    config.loadFromClusterAndUser(
      { name: "cluster", server: "http://localhost:8080", skipTLSVerify: false },
      { name: "user" },
    );
    return config;
  };
  expect(problem(nothing)).toMatchObject({
    message: "There is no kubeconfig",
    remedy: expect.stringContaining("KUBECONFIG") as string,
  });
  const path = inDirectory(
    "config",
    JSON.stringify({
      clusters: [],
      users: [],
      contexts: [{ name: "a", context: { cluster: "x", user: "y" } }],
      "current-context": "b",
    }),
  );
  expect(problem(() => loadKubeConfig({ path }))).toMatchObject({
    message: 'The kubeconfig has no context "b" with a cluster',
    remedy: "Its contexts are: a",
  });
  expect(problem(() => configWith({ server: "nowhere" })).message).toContain('"nowhere" is no URL');
  expect(problem(() => loadKubeConfig({ path: join(directory, "absent") })).message).toBe("Cannot read the kubeconfig");
});

test("plain HTTP is refused unless the kubeconfig says that TLS is not to be verified", async () => {
  await using server = await ScriptedServer.start(json(200, object));
  const load = (): KubeConfig => configWith({ server: server.url, cluster: { "insecure-skip-tls-verify": false } });
  await using it = clientOf(server, { load });
  await expect(it.client.get(RESOURCES.service, key)).rejects.toThrow("HTTP protocol is not allowed");
  expect(server.arrived).toEqual([]);
});
