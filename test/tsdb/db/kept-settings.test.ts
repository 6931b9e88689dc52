import { expect, test } from "vitest";
import { silentLogger } from "../../../src/base/logger.ts";
import { replaceFile } from "../../../src/base/replace-file.ts";
import { loadSettings, NO_KEPT_SETTINGS, saveSettings } from "../../../src/tsdb/db/kept-settings.ts";
import { RetentionPolicy } from "../../../src/tsdb/db/retention-policy.ts";
import { MemoryVfs } from "../../support/vfs/memory.ts";

const DAY_MS = 86_400_000;
const CONFIGURED = { ageMs: 30 * DAY_MS, sizeBytesMax: 0, volumePercentMax: 0 };

async function dataDir(): Promise<MemoryVfs> {
  const disk = new MemoryVfs();
  await disk.mkdir("/data");
  await disk.syncDir("/");
  return disk;
}

test("what is set is there after a power cut", async () => {
  const disk = await dataDir();
  expect(await loadSettings(disk, "/data", silentLogger)).toEqual(NO_KEPT_SETTINGS);
  const kept = { isReadOnly: true, retention: { ageMs: { value: 60 * DAY_MS, insteadOf: 30 * DAY_MS } } };
  await saveSettings(disk, "/data", kept);
  const after = disk.crash({ keep: 0, random: { chance: () => false } as never });
  expect(await loadSettings(after, "/data", silentLogger)).toEqual(kept);
});

test("a file that says nothing sensible is none, and does not stop the start", async () => {
  for (const text of ["", "{", "[]", '{"version":2}', '{"version":1,"readOnly":true,"retention":{"ageMs":7}}']) {
    const disk = await dataDir();
    await replaceFile(disk, "/data/state.json", new TextEncoder().encode(text));
    const warnings: string[] = [];
    const log = { ...silentLogger, warn: (_fields: object, message: string) => void warnings.push(message) };
    expect(await loadSettings(disk, "/data", log), text).toEqual(NO_KEPT_SETTINGS);
    expect(warnings, text).toHaveLength(1);
  }
});

test("a retention that was set over the API counts until the configuration says something else", () => {
  const policy = new RetentionPolicy(CONFIGURED, {});
  expect(policy.settings).toEqual(CONFIGURED);
  policy.override(policy.changed({ ageMs: 60 * DAY_MS, sizeBytesMax: 1000 }));
  expect(policy.settings).toEqual({ ageMs: 60 * DAY_MS, sizeBytesMax: 1000, volumePercentMax: 0 });
  expect(policy.text).toBe("60d");
  expect([policy.isOverridden("ageMs"), policy.isOverridden("volumePercentMax")]).toEqual([true, false]);

  const restarted = new RetentionPolicy(CONFIGURED, policy.overrides);
  expect(restarted.settings.ageMs).toBe(60 * DAY_MS);
  restarted.configure({ ...CONFIGURED, ageMs: 7 * DAY_MS });
  expect(restarted.settings).toEqual({ ageMs: 7 * DAY_MS, sizeBytesMax: 1000, volumePercentMax: 0 });
  // Back to what it was: the override is forgotten.
  restarted.configure(CONFIGURED);
  expect(restarted.settings.ageMs).toBe(30 * DAY_MS);
});

test("null takes an override back, 0 is no limit", () => {
  const policy = new RetentionPolicy({ ...CONFIGURED, sizeBytesMax: 500 }, {});
  policy.override(policy.changed({ sizeBytesMax: 0 }));
  expect(policy.limits).toEqual({ ageMs: 30 * DAY_MS, sizeBytesMax: undefined, volumePercentMax: undefined });
  policy.override(policy.changed({ sizeBytesMax: null }));
  expect(policy.limits.sizeBytesMax).toBe(500);
});
