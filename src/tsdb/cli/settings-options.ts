/** The settings table as command-line options, and back. */
import { Option, type Command } from "commander";
import { availableParallelism } from "node:os";
import { allSettings, loadConfig, variableOf, type LoadedConfig, type Surroundings } from "../config.ts";
import { defaultText } from "../config/settings.ts";

const sectionTitles: Readonly<Record<string, string>> = {
  server: "Server:",
  storage: "Storage:",
  wal: "Write-ahead log:",
  compaction: "Compaction:",
  query: "Queries:",
  limits: "Limits of a write request:",
  logging: "Logging:",
  metrics: "Metrics:",
  root: "Management:",
};

/** @param only keys of the settings that matter to the command; absent: all */
export function addSettingOptions(command: Command, only?: readonly string[]): Command {
  command.addOption(
    new Option("--config <FILE>", "YAML configuration file (env TSDB_CONFIG)").helpGroup("Configuration:"),
  );
  for (const setting of allSettings) {
    const { flag, key, kind, description, section } = setting;
    if (only !== undefined && !only.includes(key)) continue;
    const isBoolean = kind.placeholder === "BOOL";
    const option = new Option(
      isBoolean ? `--${flag} [BOOL]` : `--${flag} <${kind.placeholder}>`,
      `${description} (default: ${defaultText(setting)}; env ${variableOf(setting)})`,
    ).helpGroup(sectionTitles[section] ?? `${section}:`);
    command.addOption(option);
  }
  return command;
}

/** @throws TsdbError BAD_CONFIG */
export function configFromOptions(command: Command, env: NodeJS.ProcessEnv = process.env): LoadedConfig {
  const given = command.opts<Record<string, string | true | undefined>>();
  const flags = new Map<string, string>();
  for (const { flag } of allSettings) {
    const text = given[flag.replace(/-(\w)/g, (_, letter: string) => letter.toUpperCase())];
    // A switch without a value is `true` here, and "true" in the notation of flags.
    if (text !== undefined) flags.set(flag, String(text));
  }
  const file = given["config"] === undefined ? undefined : String(given["config"]);
  return loadConfig({ flags, env, file, surroundings: surroundings(), nowMs: Date.now() });
}

export const surroundings = (): Surroundings => ({
  coreCount: availableParallelism(),
  isTerminal: process.stdout.isTTY,
});
