/** The settings table as command-line options, and back. */
import { Option, type Command } from "commander";
import { allSettings, loadConfig, variableOf, type LoadedConfig } from "../config.ts";
import { availableParallelism } from "node:os";

const sectionTitles: Readonly<Record<string, string>> = {
  server: "Server:",
  storage: "Storage:",
  wal: "Write-ahead log:",
  compaction: "Compaction:",
  query: "Queries:",
  limits: "Limits of a write request:",
  logging: "Logging:",
  metrics: "Metrics:",
};

export function addSettingOptions(command: Command): Command {
  command.addOption(
    new Option("--config <FILE>", "YAML configuration file (env TSDB_CONFIG)").helpGroup("Configuration:"),
  );
  for (const setting of allSettings) {
    const { flag, kind, description, section } = setting;
    const isBoolean = kind.placeholder === "BOOL";
    const standard = typeof setting.default === "string" ? setting.default : setting.default.says;
    const option = new Option(
      isBoolean ? `--${flag} [BOOL]` : `--${flag} <${kind.placeholder}>`,
      `${description} (default: ${standard || '""'}; env ${variableOf(setting)})`,
    ).helpGroup(sectionTitles[section] ?? `${section}:`);
    command.addOption(isBoolean ? option.preset("true") : option);
  }
  return command;
}

/** @throws TsdbError BAD_CONFIG */
export function configFromOptions(command: Command, env: NodeJS.ProcessEnv = process.env): LoadedConfig {
  const given = command.opts<Record<string, string | undefined>>();
  const flags = new Map<string, string>();
  for (const { flag } of allSettings) {
    const text = given[flag.replace(/-(\w)/g, (_, letter: string) => letter.toUpperCase())];
    if (text !== undefined) flags.set(flag, text);
  }
  return loadConfig({ flags, env, file: given["config"], coreCount: availableParallelism(), nowMs: Date.now() });
}
