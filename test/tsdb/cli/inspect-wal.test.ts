import { appendFileSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { series } from "../../support/database.ts";
import { temporaryDir, writeDataDir } from "../../support/data-dir.ts";
import { runHere } from "../../support/run-here.ts";

const dir = temporaryDir("inspect-wal");
const wal = join(dir.path, "wal");
const START = Date.UTC(2025, 11, 31, 23);

beforeAll(async () => {
  const samples = (i: number) => [[START + i * 1000, i]] as const;
  const requests = Array.from({ length: 20 }, (_, i) => [series("a", samples(i)), series("b", samples(i))]);
  await writeDataDir(dir.path, requests);
  await writeDataDir(dir.path, [[series("c", [[START, 1.5]])]]);
});
afterAll(() => dir.remove());

interface Report {
  readonly segments: readonly Record<string, unknown>[];
  readonly losses: readonly unknown[];
  readonly findings: readonly { file: string; offsetBytes: number; message: string; isDamage: boolean }[];
}

test("a sound log: its segments, records, samples, times, and exit code 0", async () => {
  const { code, stdout } = await runHere(["inspect-wal", wal]);
  expect(code).toBe(0);
  expect(stdout).toMatch(/00000001 +\S+ \S+ +20 +1-20 +2 +40 +2025-12-31T23:00:00Z +2025-12-31T23:00:19Z +closed/);
  expect(stdout).toMatch(/2 segments, .*, 21 records, 41 samples, last sequence 21/);
  const json = await runHere(["inspect-wal", wal, "-o", "json"]);
  expect(json).toMatchObject({ code: 0, stderr: "" });
  const { segments, findings } = JSON.parse(json.stdout) as Report;
  expect(findings).toEqual([]);
  expect(segments[1]).toMatchObject({ index: 2, records: 1, series: 1, samples: 1, mint: START, maxt: START });
});

test("damage in the middle is a loss with file and offset, exit code 3, and nothing is changed", async () => {
  const file = join(wal, "00000001");
  const sound = readFileSync(file);
  const damaged = Buffer.from(sound);
  damaged[sound.length >> 1]! ^= 1;
  writeFileSync(file, damaged);
  const before = readdirSync(wal);
  const { code, stdout } = await runHere(["inspect-wal", wal, "-o", "json"]);
  expect(code).toBe(3);
  const { findings } = JSON.parse(stdout) as Report;
  expect(findings).toHaveLength(1);
  expect(findings[0]).toMatchObject({ file, isDamage: true });
  expect(findings[0]!.message).toMatch(/^records \d+ to 20 are lost: checksum mismatch$/);
  expect(findings[0]!.offsetBytes).toBeLessThan(sound.length);
  expect(readdirSync(wal)).toEqual(before);
  expect(readFileSync(file).equals(damaged)).toBe(true);
  writeFileSync(file, sound);
});

test("a torn tail is told, and is no damage", async () => {
  const file = join(wal, "00000002");
  const sound = readFileSync(file);
  appendFileSync(file, Buffer.alloc(10, 7));
  const { code, stdout } = await runHere(["inspect-wal", wal]);
  expect(code).toBe(0);
  expect(stdout).toContain(`${file}, byte ${sound.length}: `);
  expect(stdout).toContain("no record that was promised is behind it");
  writeFileSync(file, sound);
});

test("a directory that is not there, or is none, is told with what to do", async () => {
  expect(await runHere(["inspect-wal", join(dir.path, "nope")])).toMatchObject({
    code: 1,
    stdout: "",
    stderr: `tsdb: the log directory ${dir.path}/nope does not exist\n      It is \`wal\` in the data directory, or what wal.dir says.\n`,
  });
  expect((await runHere(["inspect-wal", join(wal, "00000001")])).stderr).toContain("is no directory");
  expect((await runHere(["inspect-wal"])).code).toBe(2);
});
