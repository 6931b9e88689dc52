/**
 * Our own sources with one place changed, while they are loaded; the files stay as they are. For the faults that tests are to
 * see (e2e/faults), and for a release that does not exist yet. `node --import`ed into a process, it makes the change that the
 * process's environment asks for.
 */
import { readFileSync } from "node:fs";
import { registerHooks } from "node:module";
import { fileURLToPath } from "node:url";

export interface SourceChange {
  /** From the root of the tree. */
  readonly file: string;
  /** In the file exactly once. */
  readonly text: string;
  readonly instead: string;
}

const root = fileURLToPath(new URL("../..", import.meta.url));
const VARIABLE = "SOURCE_CHANGE";

/** @throws when the text is not in the file, or not only once: then the change is out of date */
export function checkChange({ file, text }: SourceChange): void {
  const found = readFileSync(root + file, "utf8").split(text).length - 1;
  if (found !== 1) throw new Error(`${file} has what is to be changed ${found} times, not once: ${text}`);
}

/** The environment of a process that is to have the change. @throws when it is out of date */
export function environmentOf(change: SourceChange): Readonly<Record<string, string>> {
  checkChange(change);
  return { [VARIABLE]: JSON.stringify(change), NODE_OPTIONS: `--import=${import.meta.url}` };
}

/** A module's source with the change; undefined when it is another module's. */
export const changed = ({ file, text, instead }: SourceChange, path: string, source: string): string | undefined =>
  path === root + file ? source.replace(text, () => instead) : undefined;

const asked = process.env[VARIABLE];
// Imported by name, and not by `--import`, it changes nothing.
if (
  asked !== undefined &&
  process.execArgv
    .concat(process.env["NODE_OPTIONS"] ?? "")
    .join()
    .includes(import.meta.url)
) {
  const change = JSON.parse(asked) as SourceChange;
  registerHooks({
    load(url, context, nextLoad) {
      const loaded = nextLoad(url, context);
      if (!url.startsWith("file:") || loaded.source === undefined || loaded.source === null) return loaded;
      const text =
        typeof loaded.source === "string" ? loaded.source : Buffer.from(loaded.source as Uint8Array).toString();
      const source = changed(change, fileURLToPath(url), text);
      return source === undefined ? loaded : { ...loaded, source };
    },
  });
}
