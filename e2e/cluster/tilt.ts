/**
 * What the Tiltfile says, without Tilt: the file is run by the interpreter of its language, with functions in the place of
 * Tilt's that note how they were called.
 */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { spawnSync } from "node:child_process";
import { parse } from "yaml";
import { clusterProgram } from "./support/programs.ts";
import { root } from "./support/run.ts";

export interface Call {
  readonly function: string;
  readonly args: readonly unknown[];
  readonly named: Readonly<Record<string, unknown>>;
}

/** Functions of Tilt that do something when they are called, and those whose value another one is given. */
const ACTIONS = ["docker_build", "k8s_yaml", "k8s_resource", "k8s_kind", "local_resource"];
const VALUES = ["sync", "run", "helm", "port_forward", "encode_yaml"];

const prelude = (files: Readonly<Record<string, unknown>>): string => `
def _note(name):
    def call(*args, **named):
        print(json.encode({"function": name, "args": args, "named": named}))
    return call
def _value(name):
    return lambda *args, **named: {"function": name, "args": args, "named": named}
${ACTIONS.map((name) => `${name} = _note("${name}")`).join("\n")}
${VALUES.map((name) => `${name} = _value("${name}")`).join("\n")}
_files = json.decode(${JSON.stringify(JSON.stringify(files))})
def read_yaml(path):
    return _files[path]
TRIGGER_MODE_MANUAL = "manual"
`;

/** Runs the Tiltfile. @throws with what the interpreter says of it when it is no Starlark, or calls what is not Tilt's */
export function callsOf(tiltfile: string): readonly Call[] {
  const text = readFileSync(join(root, tiltfile), "utf8");
  const paths = [...text.matchAll(/read_yaml\('([^']+)'\)/g)].map(([, path]) => path!);
  const files = Object.fromEntries(
    paths.map((path) => [path, parse(readFileSync(join(root, path), "utf8")) as unknown]),
  );
  const folder = mkdtempSync(join(tmpdir(), "tsdb-tilt-"));
  try {
    const script = join(folder, "Tiltfile.star");
    writeFileSync(script, prelude(files) + text);
    const { status, stderr } = spawnSync(clusterProgram("starlark"), [script], { encoding: "utf8" });
    if (status !== 0) throw new Error(stderr);
    return stderr
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line) as Call);
  } finally {
    rmSync(folder, { recursive: true });
  }
}
