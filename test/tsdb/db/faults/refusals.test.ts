/** Data directories that `tsdb start` must refuse: clear words, an exit code of its own, and not a byte changed. */
import { spawn } from "node:child_process";
import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { crc32c } from "../../../../src/base/crc32c.ts";
import { acquireDataDirLock } from "../../../../src/base/lock.ts";
import { exitCodes } from "../../../../src/tsdb/cli/exit.ts";
import { tsdbFile } from "../../../support/run-tsdb.ts";
import { HEADER_BYTES } from "./log-oracle.ts";

const root = mkdtempSync(join(tmpdir(), "tsdb-refusals-"));
afterAll(() => rmSync(root, { recursive: true, force: true }));

/** Root may write to whatever is read-only, unless this takes its capabilities away. */
const WITHOUT_CAPABILITIES = ["setpriv", "--bounding-set=-all", "--inh-caps=-all"];

/** Runs `tsdb start` on a directory. */
function start(dataDir: string): Promise<{ readonly code: number | null; readonly output: string }> {
  const tsdb = [process.execPath, tsdbFile, "start", "--data-dir", dataDir];
  const listen = ["--listen", "127.0.0.1:0", "--probe-listen", ""];
  const before = process.getuid?.() === 0 ? WITHOUT_CAPABILITIES : [];
  const [command, ...args] = [...before, ...tsdb, ...listen] as [string, ...string[]];
  const child = spawn(command, args, { stdio: ["ignore", "pipe", "pipe"] });
  let output = "";
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    output += text;
    // It should never come to this: a server that runs would never end.
    if (text.includes('"ready"')) child.kill();
  });
  child.stderr.setEncoding("utf8").on("data", (text: string) => (output += text));
  return new Promise((resolve, reject) => {
    child.on("error", reject);
    child.on("close", (code) => resolve({ code, output }));
  });
}

/** Names, sizes, modes and contents below a directory. */
function treeOf(dir: string): string[] {
  return readdirSync(dir, { recursive: true, encoding: "utf8" })
    .sort()
    .map((name) => {
      const { mode, size } = statSync(join(dir, name));
      return `${name} ${mode} ${size} ${statSync(join(dir, name)).isFile() ? readFileSync(join(dir, name), "base64") : ""}`;
    });
}

function newDir(name: string, mode = 0o777): string {
  const dir = join(root, name);
  mkdirSync(dir);
  chmodSync(root, 0o755);
  chmodSync(dir, mode);
  return dir;
}

test("a directory that must not be written to is refused, and stays as it is", async () => {
  const dir = newDir("read-only");
  writeFileSync(join(dir, "something"), "mine");
  chmodSync(dir, 0o555);
  const before = treeOf(dir);
  const { code, output } = await start(dir);
  expect(code).toBe(exitCodes.failed);
  expect(output).toContain(`Cannot use the data directory ${dir}: permission denied`);
  expect(treeOf(dir)).toEqual(before);
});

test("a log of a newer version is refused with an exit code of its own, and stays as it is", async () => {
  const dir = newDir("too-new");
  const wal = join(dir, "wal");
  mkdirSync(wal);
  chmodSync(wal, 0o777);
  const header = Buffer.alloc(HEADER_BYTES);
  header.write("TSDBWAL\0", "latin1");
  header.writeUInt32LE(99, 8);
  header.writeBigUInt64LE(1n, 16);
  header.writeUInt32LE(crc32c(header.subarray(16, 24), crc32c(header.subarray(0, 12))), 12);
  writeFileSync(join(wal, "00000001"), header, { mode: 0o666 });
  const before = treeOf(wal);
  const { code, output } = await start(dir);
  expect(output).toContain("version 99");
  expect(code).toBe(exitCodes.formatTooNew);
  expect(treeOf(wal)).toEqual(before);
});

test("a directory is the same one whatever path leads to it", () => {
  const dir = newDir("real");
  const link = join(root, "link");
  symlinkSync(dir, link);
  const lock = acquireDataDirLock(dir);
  try {
    expect(() => acquireDataDirLock(link)).toThrow(/is in use by process/);
    expect(() => acquireDataDirLock(join(dir, "..", "real"))).toThrow(/is in use by process/);
  } finally {
    lock.release();
  }
  acquireDataDirLock(link).release();
  expect(readdirSync(dir)).toEqual(["lock"]);
});
