/** package.json and what depends on it: dependencies are exact and used, scripts exist. */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { filesLike, importsOf, read, root } from "./sources.ts";

const packageJson = JSON.parse(read("package.json")) as {
  readonly scripts: Readonly<Record<string, string>>;
  readonly dependencies: Readonly<Record<string, string>>;
  readonly devDependencies: Readonly<Record<string, string>>;
  readonly optionalDependencies: Readonly<Record<string, string>>;
};

/** Used otherwise than by an import. */
const usedAs: Readonly<Record<string, string>> = {
  "@types/node": "types of Node, for the compiler",
  oxfmt: "scripts/check.ts",
  oxlint: "scripts/check.ts",
  "oxlint-tsgolint": "oxlint's type-aware rules",
  typescript: "scripts/check.ts",
};

test("every dependency is pinned to one version", () => {
  const { dependencies, devDependencies, optionalDependencies } = packageJson;
  const loose = Object.entries({ ...dependencies, ...devDependencies, ...optionalDependencies })
    .filter(([, version]) => !/^\d+\.\d+\.\d+$/.test(version))
    .map(([name, version]) => `${name}@${version}`);
  expect(loose, "write the exact version").toEqual([]);
});

test("every dependency is used, those of the program by the program", () => {
  const usedBy = (files: RegExp): Set<string> =>
    new Set(filesLike(files).flatMap((path) => importsOf(path).map(({ specifier }) => packageOf(specifier))));
  const bySource = usedBy(/^(src|bin)\/.*\.m?ts$|^bin\/.*\.mjs$/);
  const byTools = usedBy(/^(test|e2e|bench|scripts)\/.*\.ts$|^vitest\.config\.ts$/);
  const idle = [
    ...Object.keys(packageJson.dependencies).filter((name) => !bySource.has(name)),
    ...Object.keys(packageJson.devDependencies).filter((name) => !byTools.has(name) && !(name in usedAs)),
  ];
  expect(idle, "remove these from package.json, or use them").toEqual([]);
  const smuggled = [...bySource].filter(
    (name) => name in packageJson.devDependencies && !(name in packageJson.dependencies),
  );
  expect(smuggled, "the program uses these: move them to dependencies").toEqual([]);
});

const packageOf = (specifier: string): string => specifier.split("/", specifier.startsWith("@") ? 2 : 1).join("/");

test("every script runs a file that exists", () => {
  const missing = Object.entries(packageJson.scripts).flatMap(([name, command]) =>
    [...command.matchAll(/\b(?:scripts|bin|bench|e2e)\/[\w./-]+\.m?[tj]s\b/g)]
      .map(([path]) => path)
      .filter((path) => !existsSync(join(root, path)))
      .map((path) => `npm run ${name}: ${path}`),
  );
  expect(missing).toEqual([]);
});
