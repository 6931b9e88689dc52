/** The reference pages that are made from code. */
import type { Command, Help, Option } from "commander";
import { programFor as operatorFor } from "../src/operator/program.ts";
import { commands, programFor } from "../src/tsdb/cli/program.ts";
import { ALIASES_MAX } from "../src/tsdb/config/file.ts";
import { allSettings, defaultText, variableOf, type NamedSetting } from "../src/tsdb/config/settings.ts";
import { conditionsDoc } from "./conditions-doc.ts";

const HELP_COLUMNS = 100;

/** Path from the repository's root to text. */
export async function referenceDocs(): Promise<ReadonlyMap<string, string>> {
  return new Map([
    ["docs/reference/configuration.md", configuration()],
    ["docs/reference/cli.md", await commandLine()],
    ["docs/reference/operator-cli.md", operatorCommandLine()],
    ["docs/reference/conditions.md", conditionsDoc()],
  ]);
}

const generatedBy = "<!-- Made by `npm run generate` from the code: change it there. -->";

function configuration(): string {
  const sections = [...new Set(allSettings.map(({ section: name }) => name))];
  return `${generatedBy}
# Configuration

A setting is taken from its flag, else its environment variable, else the YAML file given with \`--config\` or
\`TSDB_CONFIG\`, else its default. \`tsdb config print\` shows each value in force and where it comes from;
\`tsdb config check FILE\` checks a file without starting anything.

- Durations: \`500ms\`, \`30s\`, \`5m\`, \`720h\`, \`30d\`, \`1h30m\`.
- Sizes: \`256MB\` and \`256MiB\` are the same, 268435456 bytes; a bare number is bytes.
- Addresses: \`:8080\` (all interfaces), \`127.0.0.1:8080\`, \`[::1]:8080\`.
- Switches: \`true\` or \`false\`; a flag without a value is \`true\`.
- An empty variable counts as unset, except for a setting that "" has a meaning for.

On SIGHUP, on \`POST /-/reload\`, and within seconds of its content changing, the file is read again (a Kubernetes ConfigMap
is replaced by way of a symbolic link: that counts). Settings marked *reload* change at once; changes of others are named in
the log and wait for a restart. A file with a mistake changes nothing. A file may be 1 MiB long, hold ${ALIASES_MAX} aliases and no custom
tags, and give no key twice.

The retention may also be set with \`POST /api/v1/admin/retention\`, and then holds over a restart; of a change there and a
changed value here the later one counts.

${sections.map(section).join("\n")}
## Example

\`\`\`yaml
server:
  listen: ":8080"
storage:
  data_dir: /var/lib/tsdb/data
  retention: 30d
  memtable_size: 512MB
wal:
  sync: always
logging:
  level: info
\`\`\`
`;
}

function section(name: string): string {
  const rows = allSettings.filter((setting) => setting.section === name).map(row);
  return `## ${name === "root" ? "Outside of sections" : name}

| Key | Flag | Variable | Default | Meaning |
|---|---|---|---|---|
${rows.join("\n")}
`;
}

function row(setting: NamedSetting): string {
  const { key, flag, kind, description, reloadable } = setting;
  const standard = typeof setting.default === "string" ? `\`${setting.default}\`` : defaultText(setting);
  const meaning = `${description}.${reloadable ? " *reload*" : ""} Takes ${kind.expected}.`;
  return `| \`${key}\` | \`--${flag}\` | \`${variableOf(setting)}\` | ${standard} | ${meaning.replaceAll("|", "\\|")} |`;
}

async function commandLine(): Promise<string> {
  const program = await programFor([], () => {});
  const pages = [help("tsdb", program)];
  for (const [name, { load }] of Object.entries(commands)) {
    const command = (await load()).command(() => {});
    pages.push(help(`tsdb ${name}`, command));
    for (const nested of command.commands) {
      const settings = nested.options.filter(isSetting);
      // All settings are listed once, at `start`.
      const shown = settings.length < allSettings.length ? undefined : (option: Option) => !isSetting(option);
      pages.push(help(`tsdb ${name} ${nested.name()}`, nested, shown));
    }
  }
  return `${generatedBy}
# Command line

${pages.join("\n")}`;
}

function operatorCommandLine(): string {
  const program = operatorFor({}, () => {});
  const pages = [help("tsdb-operator", program)];
  for (const command of program.commands) pages.push(help(`tsdb-operator ${command.name()}`, command));
  return `${generatedBy}
# Command line of the operator

${pages.join("\n")}`;
}

const isSetting = ({ long }: Option): boolean => allSettings.some(({ flag }) => long === `--${flag}`);

/** @param shown which options are listed; all when absent */
function help(title: string, command: Command, shown?: (option: Option) => boolean): string {
  let text = "";
  command
    .configureOutput({
      getOutHelpWidth: () => HELP_COLUMNS,
      getOutHasColors: () => false,
      writeOut: (piece) => (text += piece),
    })
    .configureHelp({ commandUsage: (at) => `${title} ${at.usage()}`, ...only(shown) })
    .outputHelp();
  return `## ${title}

\`\`\`text
${text.trimEnd()}
\`\`\`
`;
}

const only = (shown: ((option: Option) => boolean) | undefined): Partial<Help> =>
  shown ? { visibleOptions: (command) => command.options.filter(shown) } : {};
