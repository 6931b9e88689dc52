/** The files of this repository as the tidy tests read them: what git tracks or would track. */
import { execFileSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";

export const root = fileURLToPath(new URL("../..", import.meta.url));

const allFiles = execFileSync("git", ["ls-files", "--cached", "--others", "--exclude-standard"], {
  cwd: root,
  encoding: "utf8",
})
  .split("\n")
  .filter((path) => path !== "" && existsSync(join(root, path)));

/** Paths from the root, of files that `pattern` matches. */
export const filesLike = (pattern: RegExp): string[] => allFiles.filter((path) => pattern.test(path)).sort();

export const read = (path: string): string => readFileSync(join(root, path), "utf8");

export interface Import {
  /** As written: `./lexer.ts`, `node:fs`, `zod`. */
  readonly specifier: string;
  /** From the root, of an import of our own. */
  readonly path: string | undefined;
  readonly typeOnly: boolean;
}

/** Imports and re-exports of a module, static and dynamic with a literal specifier, and `new URL("./x.ts", import.meta.url)`. */
export function importsOf(path: string): Import[] {
  const text = withoutComments(read(path));
  const pattern =
    /(?:^|\n)\s*(?:import|export)\s+(type\s)?[^;"']*?from\s*["']([^"']+)["']|(?:^|\n)\s*import\s*["']([^"']+)["']|\bimport\(\s*["']([^"']+)["']\s*\)|new URL\(\s*["'](\.[^"']+\.[mc]?[tj]s)["']/g;
  return [...text.matchAll(pattern)].map(([, type, from, bare, dynamic, url]) => {
    const specifier = (from ?? bare ?? dynamic ?? url)!;
    const isOurs = specifier.startsWith(".");
    return {
      specifier,
      path: isOurs ? relative(root, join(root, dirname(path), specifier)) : undefined,
      typeOnly: type !== undefined,
    };
  });
}

/** The code with comments blanked, line numbers kept. Good enough for searches: a `//` in a string ends its line. */
export const withoutComments = (text: string): string =>
  text.replace(/\/\*[\s\S]*?\*\//g, (comment) => comment.replace(/[^\n]/g, " ")).replace(/(^|[^:"'`])\/\/.*$/gm, "$1");

export const lineOf = (text: string, offset: number): number => text.slice(0, offset).split("\n").length;
