/**
 * Compiles the kernel (src/tsdb/kernel/assembly, AssemblyScript) to dist/kernel.wasm and, with canaries and checks
 * compiled in, to dist/kernel-debug.wasm. Does nothing when both were made from exactly these sources, so every npm
 * script may call it first.
 */
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, readdirSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import asc from "assemblyscript/asc";

const root = fileURLToPath(new URL("..", import.meta.url));
const sourceDir = join(root, "src/tsdb/kernel/assembly");
const distDir = join(root, "dist");
const stampFile = join(distDir, "kernel.sources");

const common = [
  "src/tsdb/kernel/assembly/index.ts",
  "--baseDir",
  root,
  "--runtime",
  "stub",
  "--importMemory",
  "--sharedMemory",
  "--initialMemory",
  "1",
  "--maximumMemory",
  "65536",
  "--enable",
  "threads",
  "--enable",
  "simd",
  "--enable",
  "bulk-memory",
  // Everything must hang off the header: a data segment would be written again by each thread that attaches.
  "--noExportMemory",
];
const variants = [
  { name: "kernel", flags: ["-O3", "--converge", "--noAssert"] },
  // Below -O3 the heap fills what it frees with canaries and checks them (heap.ts).
  { name: "kernel-debug", flags: ["-O1", "--noAssert", "--debug"] },
];

function fingerprint(): string {
  const hash = createHash("sha256").update(readFileSync(fileURLToPath(import.meta.url)));
  for (const name of readdirSync(sourceDir).sort()) hash.update(name).update(readFileSync(join(sourceDir, name)));
  return hash.digest("hex");
}

async function compile(variant: { name: string; flags: string[] }): Promise<void> {
  // Written aside and renamed: another process may be loading the file at this moment.
  const temporary = `dist/${variant.name}.${process.pid}.wasm`;
  const stderr = asc.createMemoryStream();
  const { error } = await asc.main([...common, ...variant.flags, "--outFile", temporary], { stderr });
  if (error) throw new Error(`The kernel does not compile:\n${stderr.toString()}`, { cause: error });
  renameSync(join(root, temporary), join(distDir, `${variant.name}.wasm`));
}

const sources = fingerprint();
const isFresh =
  existsSync(stampFile) &&
  readFileSync(stampFile, "utf8") === sources &&
  variants.every(({ name }) => existsSync(join(distDir, `${name}.wasm`)));
if (!isFresh) {
  console.log("Compiling the kernel, as its sources are new (some seconds)");
  mkdirSync(distDir, { recursive: true });
  for (const variant of variants) await compile(variant);
  writeFileSync(stampFile, sources);
}
