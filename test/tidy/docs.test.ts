/** Docs hold together: one title each, links that lead somewhere, commands that exist. */
import { existsSync } from "node:fs";
import { dirname, join } from "node:path";
import { expect, test } from "vitest";
import { generatedFiles } from "../../scripts/generated-files.ts";
import { filesLike, read, root } from "./sources.ts";

const docs = filesLike(/^(docs\/.*|[A-Z]+)\.md$/);

/** Fenced code holds examples: their `#` is no heading and their brackets no link. */
const prose = (text: string): string => text.replace(/^(```|~~~)[\s\S]*?^\1/gm, "").replace(/`[^`\n]*`/g, "code");

/** The anchor that GitHub gives a heading. */
const anchorOf = (heading: string): string =>
  heading
    .toLowerCase()
    .replace(/[^\p{L}\p{N}\s_-]/gu, "")
    .trim()
    .replaceAll(/\s/g, "-");

const headings = (text: string): string[] =>
  [...text.replace(/^(```|~~~)[\s\S]*?^\1/gm, "").matchAll(/^#{1,6} (.+)$/gm)].map(([, heading]) => heading!);

test("every document has exactly one title, as its first line", () => {
  const untitled = docs.filter((path) => {
    const titles = prose(read(path)).match(/^# .+$/gm) ?? [];
    return titles.length !== 1 || !/^(<!--[^>]*-->\s*)?# /.test(read(path));
  });
  expect(untitled).toEqual([]);
});

test("links within the repository lead to files and headings that exist", () => {
  const broken = docs.flatMap((path) =>
    [...prose(read(path)).matchAll(/\]\(([^)\s]+)\)/g)]
      .map(([, target]) => target!)
      .filter((target) => !/^[a-z]+:/.test(target))
      .filter((target) => {
        const [file, anchor] = target.split("#", 2);
        const linked = file === "" ? path : join(dirname(path), file!);
        if (!existsSync(join(root, linked))) return true;
        return anchor !== undefined && !headings(read(linked)).map(anchorOf).includes(anchor);
      })
      .map((target) => `${path}: ${target}`),
  );
  expect(broken).toEqual([]);
});

test("npm scripts that documents name exist", () => {
  const { scripts } = JSON.parse(read("package.json")) as { scripts: Record<string, string> };
  const unknown = docs.flatMap((path) =>
    [...read(path).matchAll(/\bnpm (?:run )?(?:-\S+ )*(start|test|[a-z][\w:-]*)/g)]
      .filter(
        ([whole, name]) =>
          (whole.startsWith("npm run") || ["start", "test"].includes(name!)) && !Object.hasOwn(scripts, name!),
      )
      .map(([whole]) => `${path}: ${whole}`),
  );
  expect(unknown).toEqual([]);
});

test("what is generated from the code is what the code generates", async () => {
  const stale = [...(await generatedFiles())].filter(
    ([path, text]) => !existsSync(join(root, path)) || read(path) !== text,
  );
  expect(
    stale.map(([path]) => path),
    "run `npm run generate`",
  ).toEqual([]);
});
