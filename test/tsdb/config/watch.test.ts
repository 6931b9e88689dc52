import { mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { ConfigWatch, LOOK_MS } from "../../../src/tsdb/config/watch.ts";
import { ManualClock } from "../../support/clock.ts";

function newDir(): string {
  const dir = mkdtempSync(join(tmpdir(), "tsdb-watch-"));
  onTestFinished(() => rmSync(dir, { recursive: true, force: true }));
  return dir;
}

test("a content that changed is told of once; the same content written again is not", () => {
  const file = join(newDir(), "tsdb.yaml");
  const clock = new ManualClock();
  let changes = 0;
  writeFileSync(file, "a: 1\n");
  const watch = new ConfigWatch(file, clock, () => void changes++);
  writeFileSync(file, "a: 1\n");
  clock.advance(3 * LOOK_MS);
  expect(changes).toBe(0);
  writeFileSync(file, "a: 2\n");
  clock.advance(3 * LOOK_MS);
  expect(changes).toBe(1);
  rmSync(file);
  clock.advance(LOOK_MS);
  writeFileSync(file, "a: 2\n");
  clock.advance(LOOK_MS);
  expect(changes, "it was away and is what it was").toBe(1);
  watch.stop();
  expect(clock.pendingTimers).toBe(0);
});

test("a ConfigMap that is replaced as Kubernetes does is seen: the link to its directory points elsewhere", () => {
  const dir = newDir();
  for (const [version, text] of [
    ["..1", "a: 1\n"],
    ["..2", "a: 2\n"],
  ] as const) {
    mkdirSync(join(dir, version));
    writeFileSync(join(dir, version, "tsdb.yaml"), text);
  }
  symlinkSync("..1", join(dir, "..data"));
  symlinkSync("..data/tsdb.yaml", join(dir, "tsdb.yaml"));
  const clock = new ManualClock();
  let changes = 0;
  const watch = new ConfigWatch(join(dir, "tsdb.yaml"), clock, () => void changes++);
  symlinkSync("..2", join(dir, "..data_tmp"));
  renameSync(join(dir, "..data_tmp"), join(dir, "..data"));
  clock.advance(LOOK_MS);
  expect(changes).toBe(1);
  watch.stop();
});
