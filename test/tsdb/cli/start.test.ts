/** `tsdb start` as systemd, Kubernetes and a person at a terminal meet it: one process, its log, signals and exit code. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { once } from "node:events";
import { connect, createServer, type AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, expect, onTestFinished, test, vi } from "vitest";
import { textHash } from "../../../src/tsdb/config.ts";
import { runTsdb, startTsdb, type RunOptions, type Started } from "../../support/run-tsdb.ts";

const root = mkdtempSync(join(tmpdir(), "tsdb-start-"));
afterAll(() => rmSync(root, { recursive: true, force: true }));

let dirs = 0;
const newDir = (): string => join(root, `data-${++dirs}`);

type LogLine = Readonly<Record<string, unknown>>;
const linesOf = (output: string): LogLine[] =>
  output
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => JSON.parse(line) as LogLine);

interface Server extends Started {
  readonly url: string;
  readonly probeUrl: string;
  logged(message: string): LogLine | undefined;
}

/** A server on free ports, once it is ready. */
async function start(args: readonly string[], options?: RunOptions): Promise<Server> {
  const started = startTsdb(["start", "--listen=127.0.0.1:0", "--probe-listen=127.0.0.1:0", ...args], options);
  onTestFinished(() => void started.child.kill("SIGKILL"));
  const logged = (message: string) => linesOf(started.stdout()).find(({ msg }) => msg === message);
  const { url, probe_url: probeUrl } = await vi.waitUntil(() => logged("ready") && logged("listening"), {
    timeout: 20_000,
  });
  return { ...started, url: String(url), probeUrl: String(probeUrl), logged };
}

test("a server logs JSON, answers on both ports, and ends with 0 on SIGTERM", async () => {
  const dir = newDir();
  const server = await start(["--data-dir", dir]);
  expect(server.logged("starting TSDB server")).toMatchObject({
    level: "info",
    ts: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/) as string,
    listen_addr: "127.0.0.1:0",
    data_dir: dir,
  });
  for (const url of [server.url, server.probeUrl]) {
    const ready = await fetch(`${url}/-/ready`);
    expect([ready.status, await ready.text()]).toEqual([200, "TSDB is ready.\n"]);
  }
  expect((await fetch(`${server.probeUrl}/metrics`)).status).toBe(404);
  server.child.kill("SIGTERM");
  const { code, stdout, stderr } = await server.ended;
  expect([code, stderr]).toEqual([0, ""]);
  expect(linesOf(stdout).map(({ msg }) => msg)).toEqual(expect.arrayContaining(["stopping", "stopped"]));
});

test("samples written on the command line are there after kill -9, and a stopped server is told of", async () => {
  const dir = newDir();
  const first = await start(["--data-dir", dir]);
  const env = { TSDB_URL: first.url };
  expect(await runTsdb(["write", 'cpu{host="a"} 0.85'], { env })).toMatchObject({ code: 0, stderr: "" });
  first.child.kill("SIGKILL");
  await first.ended;
  expect(await runTsdb(["query", "cpu"], { env })).toMatchObject({
    code: 4,
    stderr: expect.stringContaining("nobody listens there") as string,
  });

  const second = await start(["--data-dir", dir]);
  expect(second.logged("replaying WAL")).toMatchObject({ entries: 1 });
  const query = await runTsdb(["query", "cpu"], { env: { TSDB_URL: second.url } });
  expect(query).toMatchObject({ code: 0, stderr: "" });
  expect(query.stdout).toMatch(/^SERIES +VALUE\ncpu\{host="a"\} +0\.85\n$/);
});

/** A write of which half the body is sent; `end` sends the rest and resolves with what came back. */
async function halfWrite(url: string) {
  const { hostname, port } = new URL(url);
  const body = JSON.stringify({ timeseries: [] });
  const socket = connect(Number(port), hostname);
  let answer = "";
  socket.on("data", (text) => (answer += String(text)));
  socket.on("error", () => {});
  socket.write(
    `POST /api/v1/write HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n`,
  );
  socket.write(body.slice(0, 5));
  const inFlight = async () =>
    (await (await fetch(`${url}/metrics`)).text()).match(/^tsdb_write_body_bytes_in_flight (\d+)/m)?.[1];
  await vi.waitUntil(async () => (await inFlight()) !== "0");
  return {
    async end(): Promise<string> {
      socket.write(body.slice(5));
      if (!socket.closed) await once(socket, "close");
      return answer;
    },
  };
}

test("a stopping server takes no new connections and ends the request in flight; told again, it exits at once", async () => {
  const patient = await start(["--data-dir", newDir()]);
  const write = await halfWrite(patient.url);
  patient.child.kill("SIGTERM");
  await vi.waitUntil(() => patient.logged("stopping"));
  await expect(fetch(`${patient.url}/-/healthy`)).rejects.toThrow("fetch failed");
  expect(await write.end()).toMatch(/^HTTP\/1\.1 204 .*\r\n[^]*Connection: close\r\n/);
  expect((await patient.ended).code).toBe(0);

  const hurried = await start(["--data-dir", newDir()]);
  await halfWrite(hurried.url);
  hurried.child.kill("SIGTERM");
  await sleep(700);
  hurried.child.kill("SIGTERM");
  const { code, stdout } = await hurried.ended;
  expect([code, linesOf(stdout).at(-1)?.["msg"]]).toEqual([130, "told to stop again: exiting at once"]);
});

test("what keeps a server from starting is said in one line, with exit code 1", async () => {
  const dir = newDir();
  const running = await start(["--data-dir", dir]);
  const taken = createServer().listen(0, "127.0.0.1");
  await vi.waitUntil(() => taken.listening);
  onTestFinished(() => void taken.close());
  const port = (taken.address() as AddressInfo).port;
  const cases = [
    { args: ["--data-dir", dir], says: `is in use by process ${running.child.pid}` },
    {
      args: ["--data-dir", newDir(), `--listen=127.0.0.1:${port}`],
      says: `Cannot listen on 127.0.0.1:${port}: the address is in use`,
    },
    { args: ["--data-dir", "/proc/1/data"], says: "Cannot use the data directory /proc/1/data" },
    { args: ["--data-dir", newDir(), "--listen=192.0.2.1:80"], says: "this machine has no such address" },
  ];
  for (const { args, says } of cases) {
    const { code, stdout } = await runTsdb(["start", "--listen=127.0.0.1:0", "--probe-listen=", ...args]);
    expect([code, stdout]).toEqual([1, expect.stringContaining(says)]);
    expect(linesOf(stdout).at(-1)).toMatchObject({ level: "error", error: { remedy: expect.any(String) as string } });
  }
});

test("SIGHUP and POST /-/reload apply what can be applied, and a mistake changes nothing", async () => {
  const file = join(root, "reload.yaml");
  writeFileSync(file, "logging: {level: info}\n");
  const server = await start(["--data-dir", newDir(), "--config", file]);
  const stateOf = async () =>
    (await (await fetch(`${server.url}/-/state`)).json()) as { configHash: string; configFileHash: string };
  const before = await stateOf();
  expect(before.configFileHash).toBe(textHash("logging: {level: info}\n"));

  writeFileSync(file, "logging: {level: debug}\nstorage: {memtable_size: 64MB}\n");
  server.child.kill("SIGHUP");
  await vi.waitUntil(() => server.logged("these changes need a restart"));
  expect(server.logged("configuration reloaded")).toMatchObject({ applied: ["logging.level=debug"] });
  const after = await stateOf();
  expect(after.configHash).not.toBe(before.configHash);
  expect(after.configFileHash).not.toBe(before.configFileHash);
  await runTsdb(["write", "up 1", "--url", server.url]);
  expect(server.logged("write")).toMatchObject({ level: "debug", operation: "write", format: "json", samples: 1 });

  writeFileSync(file, "logging: {level: loud}\n");
  expect((await fetch(`${server.url}/-/reload`, { method: "POST" })).status).toBe(500);
  const { data } = (await (await fetch(`${server.url}/api/v1/status/runtimeinfo`)).json()) as { data: object };
  expect(data).toMatchObject({ reloadConfigSuccess: false });
  expect((await stateOf()).configFileHash).toBe(after.configFileHash);
});

test("the old Node of the machine hands over to the one that the package brings, and passes its signals on", async ({
  skip,
}) => {
  const old = "/usr/bin/node";
  const { stdout } = await runTsdb(["--version"], { node: old }).catch(() => skip(`there is no ${old}`));
  expect(stdout).toMatch(/^tsdb \d/);
  const server = await start(["--data-dir", newDir()], { node: old });
  server.child.kill("SIGTERM");
  expect((await server.ended).code).toBe(0);
});
