/** `tsdb config print` and `tsdb config check`: what is in force and why, and whether a file would be accepted. */
import type { Command } from "commander";
import { TsdbError } from "../../base/errors.ts";
import { formatOrigin, loadConfig, type SettingValue } from "../config.ts";
import { newCommand } from "./command.ts";
import { exitCodes, tell, type ExitCode } from "./exit.ts";
import { outputOption, printJson } from "./output-format.ts";
import { addSettingOptions, configFromOptions, surroundings } from "./settings-options.ts";
import { printable, table } from "./table.ts";

export function command(done: (exitCode: ExitCode) => void): Command {
  const config = newCommand("config", "Show or check the configuration");

  const print = newCommand("config print", "Show each setting with its value and where that comes from")
    .addOption(outputOption())
    .action((_options, self: Command) => {
      const { values } = configFromOptions(self);
      if (self.opts<{ output: string }>().output === "json") printJson(asObject(values));
      else process.stdout.write(asTable(values));
    });
  config.addCommand(
    addSettingOptions(print).addHelpText(
      "after",
      "\nTakes every flag of `tsdb start`, and shows what would come of it.",
    ),
  );

  config.addCommand(
    newCommand("config check", "Check a configuration file without starting anything")
      .argument("<FILE>", "the YAML file")
      .action((file: string) => done(check(file))),
  );
  return config;
}

function check(file: string): ExitCode {
  try {
    loadConfig({ flags: new Map(), env: {}, file, surroundings: surroundings(), nowMs: Date.now() });
  } catch (thrown) {
    if (!(thrown instanceof TsdbError && thrown.code === "BAD_CONFIG")) throw thrown;
    process.stderr.write(`${tell(thrown, false).lines.join("\n")}\n`);
    return exitCodes.foundProblems;
  }
  process.stdout.write(`${file}: no problems found\n`);
  return exitCodes.ok;
}

function asTable(values: readonly SettingValue[]): string {
  const rows = values.map(({ setting, text, origin }) => [setting.key, printable(text) || '""', formatOrigin(origin)]);
  return table(["SETTING", "VALUE", "FROM"], rows);
}

const asObject = (values: readonly SettingValue[]): object =>
  Object.fromEntries(
    values.map(({ setting, text, origin }) => [setting.key, { value: text, origin: formatOrigin(origin) }]),
  );
