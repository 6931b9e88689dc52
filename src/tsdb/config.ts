/**
 * The configuration of a database process, put together from flags, TSDB_* variables, a YAML file and defaults, in that
 * order of precedence, each value with the place it came from. What may be set is the table in config/settings.ts.
 */
import { createHash } from "node:crypto";
import { didYouMean } from "../base/did-you-mean.ts";
import { TsdbError } from "../base/errors.ts";
import { badValue, parseConfigFile, readConfigFile, type FileValue } from "./config/file.ts";
import { allSettings, variableOf, type Config, type NamedSetting, type Surroundings } from "./config/settings.ts";

export type { Config } from "./config/settings.ts";
export { formatListenAddress, type ListenAddress } from "./config/kinds.ts";
export { allSettings, variableOf, type Surroundings };

export type Origin =
  | { readonly from: "default" }
  | { readonly from: "file"; readonly file: string; readonly line: number; readonly column: number }
  | { readonly from: "variable"; readonly name: string }
  | { readonly from: "flag"; readonly name: string };

/** One setting as it is in force. */
export interface SettingValue {
  readonly setting: NamedSetting;
  readonly value: unknown;
  /** The value in the notation of flags and file. */
  readonly text: string;
  readonly origin: Origin;
}

export interface LoadedConfig {
  readonly config: Config;
  readonly values: readonly SettingValue[];
  /** Changes exactly when a value changes; the same in every process with these values. */
  readonly hash: string;
  readonly file: string | undefined;
  /** Of the file's text, as {@link textHash} makes it: who wrote the file sees whether it has been read. */
  readonly fileHash: string | undefined;
  /** When it was read, in ms since the epoch. */
  readonly atMs: number;
  /** False once a newer one was given and refused. */
  readonly isNewest: boolean;
  /** Things that are probably mistakes but not certainly, as sentences. */
  readonly warnings: readonly string[];
}

export interface ConfigSources {
  /** Flag name without dashes to its text; a bare boolean flag is "true". */
  readonly flags: ReadonlyMap<string, string>;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** --config; otherwise TSDB_CONFIG, otherwise there is no file. */
  readonly file: string | undefined;
  readonly nowMs: number;
  readonly surroundings: Surroundings;
}

const PROBLEMS_SHOWN_MAX = 20;

/**
 * @throws TsdbError BAD_CONFIG with every problem found, one a line: an unknown key, a value that is not allowed
 */
export function loadConfig({ flags, env, file: fileFlag, surroundings, nowMs }: ConfigSources): LoadedConfig {
  const problems: string[] = [];
  const file = fileFlag ?? (env["TSDB_CONFIG"] || undefined);
  const inFile = file === undefined ? undefined : readFile(file, problems);
  const values: SettingValue[] = [];

  const read = (setting: NamedSetting, text: string, where: string): unknown => {
    const parsed = setting.kind.schema.safeParse(text);
    if (parsed.success) return parsed.data;
    problems.push(badValue(where, `is ${JSON.stringify(text)}`, setting));
    return undefined;
  };
  const add = (setting: NamedSetting, value: unknown, origin: Origin): void => {
    if (value !== undefined) values.push({ setting, value, text: setting.kind.format(value), origin });
  };

  let dataDir = "";
  for (const setting of allSettings) {
    const variable = variableOf(setting);
    const flagText = flags.get(setting.flag);
    const variableText = env[variable];
    const fileValue = inFile?.values.get(setting);
    if (flagText !== undefined)
      add(setting, read(setting, flagText, `--${setting.flag}`), { from: "flag", name: `--${setting.flag}` });
    else if (variableText !== undefined && (variableText !== "" || setting.kind.acceptsEmpty))
      add(setting, read(setting, variableText, variable), { from: "variable", name: variable });
    else if (fileValue !== undefined)
      add(setting, fileValue.value, { from: "file", file: file!, line: fileValue.line, column: fileValue.column });
    else {
      const standard = setting.default;
      const text = typeof standard === "string" ? standard : standard.from({ dataDir, ...surroundings });
      add(setting, read(setting, text, `the default of ${setting.key}`), { from: "default" });
    }
    if (setting.flag === "data-dir") dataDir = values.at(-1)?.text ?? "";
  }
  if (problems.length > 0) throw new TsdbError("BAD_CONFIG", listed(problems));

  return {
    config: configOf(values),
    values,
    hash: hashOf(values),
    file,
    fileHash: inFile === undefined ? undefined : textHash(inFile.text),
    atMs: nowMs,
    isNewest: true,
    warnings: doubtful(env),
  };
}

/** As many as fit a screen: a file of another program would be told of key by key. */
function listed(problems: readonly string[]): string {
  const shown = problems.slice(0, PROBLEMS_SHOWN_MAX);
  if (problems.length > shown.length) shown.push(`... and ${problems.length - shown.length} more problems`);
  return shown.join("\n");
}

function hashOf(values: readonly SettingValue[]): string {
  const texts = values.map(({ setting, text }) => [setting.key, text]);
  return textHash(JSON.stringify(texts));
}

/** Short enough to be read aloud, long enough that no two texts of one server have the same. */
export const textHash = (text: string): string => createHash("sha256").update(text).digest("hex").slice(0, 16);

interface ReadFile {
  readonly text: string;
  readonly values: ReadonlyMap<NamedSetting, FileValue>;
}

function readFile(file: string, problems: string[]): ReadFile {
  const contents = readConfigFile(file);
  if ("problem" in contents) {
    problems.push(contents.problem);
    return { text: "", values: new Map() };
  }
  const parsed = parseConfigFile(contents.text, file);
  problems.push(...parsed.problems);
  return { text: contents.text, values: new Map(parsed.values.map((value) => [value.setting, value])) };
}

/** The table is complete and each value was read by its own setting's schema, so the object is a Config. */
function configOf(values: readonly SettingValue[]): Config {
  const config: Record<string, Record<string, unknown>> = {};
  for (const { setting, value } of values) (config[setting.section] ??= {})[setting.name] = value;
  return config as unknown as Config;
}

/** Variables that look like a mistyped one of ours. Kubernetes adds TSDB_... of its own, so only near misses count. */
function doubtful(env: ConfigSources["env"]): string[] {
  const known = new Set([...allSettings.map(variableOf), "TSDB_CONFIG", "TSDB_URL", "TSDB_DEBUG", "TSDB_REVISION"]);
  return Object.keys(env).flatMap((name) => {
    if (!name.startsWith("TSDB_") || known.has(name) || /_(SERVICE|PORT)(_|$)/.test(name)) return [];
    const guess = didYouMean(name, known);
    return guess ? [`The variable ${name} is not one of tsdb's; did you mean ${guess}?`] : [];
  });
}

/** An origin as `config print` shows it: `default`, `tsdb.yaml:4`, `env TSDB_LISTEN`, `flag --listen`. */
export function formatOrigin(origin: Origin): string {
  switch (origin.from) {
    case "default":
      return "default";
    case "file":
      return `${origin.file}:${origin.line}`;
    case "variable":
      return `env ${origin.name}`;
    case "flag":
      return `flag ${origin.name}`;
  }
}

export interface Reload {
  /** In force from now on: `before` with the new values of what can be reloaded. */
  readonly inForce: LoadedConfig;
  readonly applied: readonly SettingValue[];
  /** Changed too, but only a restart would apply them. */
  readonly needRestart: readonly SettingValue[];
}

/** The configuration of a running process. */
export interface ConfigInForce {
  /** Another one after a reload. */
  readonly current: LoadedConfig;
  /** Reads the configuration again; @throws TsdbError BAD_CONFIG, and then the old one stays in force */
  reload(): Reload;
  /** Calls `apply` after each reload that succeeded. */
  onReload(apply: (config: Config) => void): void;
}

/** What comes of reading the configuration again while it is in use. */
export function reloaded(before: LoadedConfig, after: LoadedConfig): Reload {
  const inForce: SettingValue[] = [];
  const applied: SettingValue[] = [];
  const needRestart: SettingValue[] = [];
  before.values.forEach((old, i) => {
    const next = after.values[i]!;
    const isReloadable = old.setting.reloadable;
    inForce.push(isReloadable ? next : old);
    if (next.text !== old.text) (isReloadable ? applied : needRestart).push(next);
  });
  return {
    inForce: { ...after, config: configOf(inForce), values: inForce, hash: hashOf(inForce) },
    applied,
    needRestart,
  };
}

/** Settings, in the order of the table, as the YAML that would give them: for /api/v1/status/config, and for who writes a file. */
export function toYaml(values: readonly Pick<SettingValue, "setting" | "text">[]): string {
  const lines: string[] = [];
  let open = "";
  for (const { setting, text } of values) {
    const [section, key] = setting.key.split(".") as [string, string | undefined];
    const value = /^[\w./-]+$/.test(text) ? text : JSON.stringify(text);
    if (key === undefined) {
      lines.push(`${section}: ${value}`);
      continue;
    }
    if (section !== open) lines.push(`${section}:`);
    open = section;
    lines.push(`  ${key}: ${value}`);
  }
  return `${lines.join("\n")}\n`;
}
