/**
 * Makes of the sources what the image runs: both programs and their workers as JavaScript, with what they use of their
 * packages, in one folder (docs/decisions/0016-the-image-has-bundles.md).
 *
 *   node scripts/build-programs.ts FOLDER      after scripts/build-kernel.ts
 *
 * Files that are not imported but found by their path are named in the sources as `new URL("PATH", import.meta.url)`; that is
 * what is looked for here, and they come to lie beside the rest.
 */
import { copyFileSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { basename, dirname, join, relative, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { rolldown, type OutputChunk, type Plugin } from "rolldown";

const root = fileURLToPath(new URL("..", import.meta.url));

const FILE_BY_PATH = /new URL\("(\.{1,2}\/[^"]+)", import\.meta\.url\)/g;

/** Modules that run in threads of their own become programs of their own; other files are copied. */
function filesByPath(folder: string): Plugin {
  return {
    name: "files-by-path",
    transform(code, id) {
      if (!id.startsWith(join(root, "src/"))) return null;
      return code.replaceAll(FILE_BY_PATH, (_, path: string) => {
        const file = resolve(dirname(id), path);
        if (!path.endsWith(".ts")) {
          copyFileSync(file, join(folder, basename(file)));
          return `new URL("./${basename(file)}", import.meta.url)`;
        }
        const name = relative(join(root, "src"), file).replace(/\.ts$/, "").replaceAll("/", "-");
        this.emitFile({ type: "chunk", id: file, fileName: `${name}.mjs` });
        return `new URL("./${name}.mjs", import.meta.url)`;
      });
    },
  };
}

/** What the packages whose code went into the programs ask to be told along with it. */
function licences(chunks: readonly OutputChunk[]): string {
  const folders = new Set<string>();
  for (const id of chunks.flatMap(({ moduleIds }) => moduleIds)) {
    const [folder] = /^.*\/node_modules\/(?:@[^/]+\/)?[^/]+/.exec(id) ?? [];
    if (folder !== undefined) folders.add(folder);
  }
  const texts = [...folders].sort().map((folder) => {
    const { name, version, license } = JSON.parse(readFileSync(join(folder, "package.json"), "utf8")) as PackageJson;
    const files = readdirSync(folder).filter((file) => /^(licen[cs]e|notice|copying)/i.test(file));
    return [
      `${name} ${version} (${license ?? "see below"})`,
      ...files.map((file) => readFileSync(join(folder, file), "utf8")),
    ];
  });
  return texts.map((each) => each.join("\n\n")).join(`\n${"-".repeat(80)}\n`);
}

interface PackageJson {
  readonly name: string;
  readonly version: string;
  readonly license?: string;
}

export async function buildPrograms(folder: string): Promise<void> {
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  const bin = join(root, "bin");
  const bundle = await rolldown({
    cwd: root,
    input: readdirSync(bin)
      .filter((name) => name.endsWith(".mjs"))
      .map((name) => join(bin, name)),
    platform: "node",
    plugins: [filesByPath(folder)],
    logLevel: "warn",
  });
  const { output } = await bundle.write({
    dir: folder,
    entryFileNames: "[name].mjs",
    chunkFileNames: "[name]-[hash].mjs",
  });
  await bundle.close();
  const chunks = output.filter((each) => each.type === "chunk");
  writeFileSync(join(folder, "LICENCES.txt"), licences(chunks));
}

if (import.meta.main) {
  const [folder] = process.argv.slice(2);
  if (folder === undefined || !existsSync(join(root, "dist/kernel.wasm"))) {
    process.stderr.write("usage: node scripts/build-programs.ts FOLDER, after node scripts/build-kernel.ts\n");
    process.exit(2);
  }
  await buildPrograms(resolve(folder));
}
