/**
 * The mutant gate: a dozen databases that are broken in one place each, as a real one might be. The fault tests must tell
 * every one of them from the right one; a mutant that lives is a hole in the tests. Each is a copy of the sources with one
 * change, on which the tests named run until the first failure.
 *
 *   node e2e/crash/mutants.ts [PART OF A NAME]
 */
import { spawnSync } from "node:child_process";
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

interface Mutant {
  readonly name: string;
  readonly file: string;
  /** Must be there exactly once. */
  readonly find: string;
  readonly replace: string;
  /** The test file that must fail, of test/tsdb/db/faults. */
  readonly test: "crash" | "errors" | "wal-damage" | "chunk-damage";
}

const writer = "src/tsdb/wal/writer.ts";

const mutants: readonly Mutant[] = [
  {
    name: "acknowledges before the sync",
    file: writer,
    find: `const waitsForSync = sync === "always" || this.#failures > 0;`,
    replace: `const waitsForSync = sync === "always" && this.#failures > 0;`,
    test: "crash",
  },
  {
    name: "acknowledges before the write",
    file: writer,
    find: `await segment.file.write(batch.bytes, segment.sizeBytes);`,
    replace: `this.#acknowledge(); await segment.file.write(batch.bytes, segment.sizeBytes);`,
    test: "crash",
  },
  {
    name: "answers a repeated request at once",
    file: "src/tsdb/db.ts",
    find: `if (committed !== undefined) await committed;`,
    replace: `if (committed !== undefined && result.duplicates === 0) await committed;`,
    test: "crash",
  },
  {
    name: "does not sync the directory of a new segment",
    file: writer,
    find: `await vfs.syncDir(dir);`,
    replace: ``,
    test: "crash",
  },
  {
    name: "retries a failed sync on the same file",
    file: writer,
    find: `      await segment.file.sync();\n    } catch (thrown) {`,
    replace: `      await segment.file.sync().catch(() => segment.file.sync());\n    } catch (thrown) {`,
    test: "crash",
  },
  {
    name: "does not write again what a failed sync left in doubt",
    file: writer,
    find: `this.#options.source.restart();`,
    replace: `this.#options.source.beginSegment();`,
    test: "crash",
  },
  {
    name: "ignores a failed or short write",
    file: writer,
    find: `await segment.file.write(batch.bytes, segment.sizeBytes);`,
    replace: `await segment.file.write(batch.bytes, segment.sizeBytes).catch(() => {});`,
    test: "errors",
  },
  {
    name: "calls durable what is only written",
    file: writer,
    find: `this.#written = batch.lastSequence;`,
    replace: `this.#written = batch.lastSequence; source.setSynced(this.#written);`,
    test: "crash",
  },
  {
    name: "believes in records whose checksum is wrong",
    file: "src/tsdb/wal/reader.ts",
    find: `header.dataBytes, crc) !== header.crc) {`,
    replace: `header.dataBytes, crc) === -1) {`,
    test: "wal-damage",
  },
  {
    name: "takes every damage for a torn tail",
    file: "src/tsdb/wal/log.ts",
    find: `if (claimed >= next) this.#lostInTail`,
    replace: `if (claimed < 0) this.#lostInTail`,
    test: "wal-damage",
  },
  {
    name: "takes the page cache for the disk when it starts after a kill",
    file: "src/tsdb/wal/log.ts",
    find: `const isUnproven = segment === this.#segments.findLast(isUsed) && !isMarked;`,
    replace: `const isUnproven = false;`,
    test: "crash",
  },
  {
    name: "cuts a torn segment one byte too short",
    file: "src/tsdb/wal/log.ts",
    find: `{ kind: "renew", index, keepBytes, mark, reason }`,
    replace: `{ kind: "renew", index, keepBytes: keepBytes - 1, mark, reason }`,
    test: "crash",
  },
  {
    name: "puts a copy in place without syncing it",
    file: "src/base/copy-file.ts",
    find: `await copy.sync();`,
    replace: ``,
    test: "crash",
  },
  {
    name: "leaves what a repair that was cut off has begun",
    file: "src/base/copy-file.ts",
    find: `for (const name of left) await vfs.remove(join(dir, name));`,
    replace: ``,
    test: "crash",
  },
  {
    name: "writes chunks to their files before the log has their samples",
    file: "src/tsdb/db.ts",
    find: `drain?.upTo ?? (wal.enabled ? (this.#wal?.synced ?? 0) : ANY_SEQUENCE);`,
    replace: `ANY_SEQUENCE;`,
    test: "crash",
  },
  {
    name: "deletes segments that are still needed",
    file: "src/tsdb/wal/segments.ts",
    find: `this.#segments.length === 1 || oldest.maxTimeMs >= beforeMs) return dropped;`,
    replace: `this.#segments.length === 1) return dropped;`,
    test: "crash",
  },
  {
    name: "loads chunks whose checksum is wrong",
    file: "src/tsdb/head/chunk-file-loader.ts",
    find: `if (buffer.crc32c(at + 4, entryBytes - 4, 0) !== entry.crc)`,
    replace: `if (buffer.crc32c(at + 4, entryBytes - 4, 0) === -1)`,
    test: "chunk-damage",
  },
  {
    name: "serves chunks whose checksum is wrong",
    file: "src/tsdb/head/chunk-file-reader.ts",
    find: `if (entry.dataBytes !== dataBytes || crc32c(bytes.subarray(4)) !== entry.crc)`,
    replace: `if (entry.dataBytes !== dataBytes)`,
    test: "chunk-damage",
  },
  {
    name: "uses chunk files behind a damaged one",
    file: "src/tsdb/head/chunk-file-loader.ts",
    find: `    for (const later of indexes.slice(i + 1)) await setAside(vfs, dir, later);\n    break;`,
    replace: ``,
    test: "chunk-damage",
  },
];

const root = fileURLToPath(new URL("../..", import.meta.url));

/** The sources, ready to be run on, in a folder of their own. */
function copySources(): string {
  const copy = mkdtempSync(join(tmpdir(), "tsdb-mutant-"));
  for (const name of ["src", "test", "dist", "package.json", "tsconfig.json", "vitest.config.ts"])
    cpSync(join(root, name), join(copy, name), { recursive: true });
  symlinkSync(join(root, "node_modules"), join(copy, "node_modules"));
  return copy;
}

interface Verdict {
  readonly passes: boolean;
  readonly hangs: boolean;
  readonly output: string;
}

/** What the tests say of the sources in a folder. */
function judge(copy: string, test: string, timeoutMs?: number): Verdict {
  const file = `test/tsdb/db/faults/${test}.test.ts`;
  const args = ["node_modules/vitest/vitest.mjs", "run", "--bail", "1", file];
  const env = { ...process.env, SEED: "1", NO_COLOR: "1" };
  const { status, signal, stdout, stderr } = spawnSync(process.execPath, args, {
    cwd: copy,
    encoding: "utf8",
    env,
    ...(timeoutMs !== undefined && { timeout: timeoutMs }),
  });
  return { passes: status === 0, hangs: signal !== null, output: `${stdout}${stderr}` };
}

/** How the tests noticed; undefined when they did not. */
function killed({ file, find, replace, test }: Mutant, copy: string, timeoutMs: number): string | undefined {
  const path = join(copy, file);
  const sound = readFileSync(path, "utf8");
  if (sound.split(find).length !== 2)
    throw new Error(`${file} has not exactly one: ${find}\nThe mutant must be brought up to date`);
  writeFileSync(
    path,
    sound.replace(find, () => replace),
  );
  try {
    const { passes, hangs, output } = judge(copy, test, timeoutMs);
    if (passes) return undefined;
    if (hangs) return `no end after ${Math.round(timeoutMs / 1000)} s`;
    const reason = /^(?:\w*Error): (.*)$/m.exec(output)?.[1];
    // A mutant that does not even load would prove nothing.
    if (reason === undefined || output.includes("SyntaxError"))
      throw new Error(`${file} is broken by the mutation:\n${output}`);
    return reason;
  } finally {
    writeFileSync(path, sound);
  }
}

const wanted = mutants.filter(({ name }) => name.includes(process.argv[2] ?? ""));
const copy = copySources();
try {
  /** A mutant may take a few times as long as the database as it is. */
  const timeoutMs = new Map<string, number>();
  for (const test of new Set(wanted.map((mutant) => mutant.test))) {
    const startMs = performance.now();
    const { passes, output } = judge(copy, test);
    timeoutMs.set(test, 30_000 + 3 * (performance.now() - startMs));
    if (!passes) throw new Error(`The database as it is fails ${test}.test.ts:\n${output}`);
  }
  let kills = 0;
  for (const mutant of wanted) {
    const reason = killed(mutant, copy, timeoutMs.get(mutant.test)!);
    if (reason !== undefined) kills++;
    console.log(
      `${reason === undefined ? "ALIVE " : "killed"}  ${mutant.name}${reason === undefined ? "" : `: ${reason.slice(0, 150)}`}`,
    );
  }
  console.log(`${kills}/${wanted.length} killed`);
  process.exitCode = kills === wanted.length ? 0 : 1;
} finally {
  rmSync(copy, { recursive: true });
}
