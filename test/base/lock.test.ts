import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, expect, test } from "vitest";
import { TsdbError } from "../../src/base/errors.ts";
import { acquireDataDirLock } from "../../src/base/lock.ts";

const root = mkdtempSync(join(tmpdir(), "tsdb-lock-"));
afterAll(() => rmSync(root, { recursive: true, force: true }));

const lockFile = fileURLToPath(new URL("../../src/base/lock.ts", import.meta.url));

/** A process that holds the lock of `dir` until it is told to end, and goes on with the code `then`. */
async function holder(dir: string, then = "", flags: readonly string[] = []) {
  const script = `import { acquireDataDirLock } from ${JSON.stringify(lockFile)};
    acquireDataDirLock(${JSON.stringify(dir)}); console.log("held"); setInterval(() => {}, 1000); ${then}`;
  const child = spawn(process.execPath, [...flags, "--input-type=module", "-e", script], {
    stdio: ["ignore", "pipe", "pipe"],
  });
  let errors = "";
  child.stderr.on("data", (text: Buffer) => (errors += text.toString()));
  await Promise.race([once(child.stdout, "data"), once(child, "close")]);
  return {
    pid: child.pid!,
    errors: () => errors,
    nextOutput: () => once(child.stdout, "data"),
    async end(signal: NodeJS.Signals) {
      if (child.exitCode !== null) return;
      const exited = once(child, "exit");
      child.kill(signal);
      await exited;
    },
  };
}

function refusal(dir: string): TsdbError {
  try {
    acquireDataDirLock(dir).release();
  } catch (thrown) {
    if (thrown instanceof TsdbError) return thrown;
    throw thrown;
  }
  throw new Error("the lock was granted");
}

test("a second process is refused at once, told who holds the directory, and let in after SIGKILL of the first", async () => {
  const dir = join(root, "a");
  for (let round = 0; round < 3; round++) {
    const first = await holder(dir);
    const error = refusal(dir);
    expect(error.code).toBe("DATA_DIR_LOCKED");
    expect(error.message).toContain(`The data directory ${dir} is in use by process ${first.pid} on `);
    expect(error.remedy).toContain("--data-dir");
    await first.end("SIGKILL");
    acquireDataDirLock(dir).release();
  }
});

test("of many processes that start together exactly one gets the lock, and Node says nothing of experiments", async () => {
  const dir = join(root, "race");
  const all = await Promise.all(Array.from({ length: 4 }, () => holder(dir)));
  const refused = all.filter(({ errors }) => errors().includes("DATA_DIR_LOCKED"));
  expect(refused.length).toBe(3);
  expect(all.find(({ errors }) => errors() === "")).toBeDefined();
  await Promise.all(all.map((each) => each.end("SIGKILL")));
}, 30_000);

// The lock went with the object that stood for it: once the collector had been, a second process was let in.
test("the lock is held as long as the process lives, though nothing in it refers to the lock any more", async () => {
  const dir = join(root, "collected");
  const first = await holder(dir, "setTimeout(() => (gc(), console.log('collected')), 100)", ["--expose-gc"]);
  await first.nextOutput();
  expect(refusal(dir).code).toBe("DATA_DIR_LOCKED");
  await first.end("SIGKILL");
});

test("two databases of one process exclude each other too, until the first is released", () => {
  const dir = join(root, "b");
  const lock = acquireDataDirLock(dir);
  expect(refusal(dir).code).toBe("DATA_DIR_LOCKED");
  lock.release();
  lock.release();
  acquireDataDirLock(dir).release();
  expect(readdirSync(dir)).toEqual(["lock"]);
});

test("a directory is created with its parents", () => {
  acquireDataDirLock(join(root, "c", "d", "e")).release();
  expect(readdirSync(join(root, "c", "d", "e"))).toEqual(["lock"]);
});

test("a directory that cannot be used is refused with the reason and a remedy", () => {
  const file = join(root, "file");
  writeFileSync(file, "");
  for (const [dir, reason] of [
    [file, "there is a file of this name"],
    [join(file, "below"), "a part of this path is a file"],
    ["/proc/1/nothing", "it cannot be created there"],
  ] as const) {
    const error = refusal(dir);
    expect(error.code).toBe("IO");
    expect(error.message).toContain(`Cannot use the data directory ${dir}: `);
    expect(error.message).toContain(reason);
    expect(error.remedy).toContain("--data-dir");
  }
});
