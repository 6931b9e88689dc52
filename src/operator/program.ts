/** The command line of `tsdb-operator`. A command's code is loaded only when it is run: `crd` needs no cluster's client. */
import { readFileSync } from "node:fs";
import { CommanderError, type Command } from "commander";
import { stringify } from "yaml";
import { commandOf } from "../base/command.ts";
import { messageOf, TsdbError } from "../base/errors.ts";
import { customResourceDefinition } from "./api/crd.ts";
import { addOptions, readConfig } from "./config.ts";
import { releaseImage, version } from "./release.ts";

const PROGRAM = "tsdb-operator";

const EXIT_FAILED = 1;
const EXIT_USAGE = 2;
const EXIT_PROBLEMS = 3;

export const exitCodeHelp = `
Exit codes:
  0    done, or told to stop
  1    failed, or another process has the lease
  2    wrong usage: unknown command, flag or value
  3    what was to be rendered has problems
  130  interrupted`;

/** @param args the arguments after `tsdb-operator`; @returns the exit code, once the command is over */
export async function runProgram(args: readonly string[], env: NodeJS.ProcessEnv): Promise<number> {
  let exitCode = 0;
  try {
    await programFor(env, (code) => void (exitCode = code)).parseAsync(args, { from: "user" });
  } catch (thrown) {
    if (thrown instanceof CommanderError) return thrown.exitCode === 0 ? 0 : EXIT_USAGE;
    if (!(thrown instanceof TsdbError)) throw thrown;
    for (const line of thrown.message.split("\n")) process.stderr.write(`tsdb-operator: ${line}\n`);
    if (thrown.remedy !== undefined) process.stderr.write(`      ${thrown.remedy}.\n`);
    return thrown.code === "BAD_CONFIG" ? EXIT_USAGE : EXIT_FAILED;
  }
  return exitCode;
}

export function programFor(env: NodeJS.ProcessEnv, done: (exitCode: number) => void): Command {
  const program = commandOf(PROGRAM, "", "Looks after TimeSeriesDBs in a Kubernetes cluster")
    .version(`tsdb-operator ${version} (Node ${process.versions.node})`, "-V, --version", "show the version")
    .helpCommand("help [COMMAND]", "show the help of a command")
    .addHelpText("afterAll", exitCodeHelp);
  const runCommand = addOptions(commandOf(PROGRAM, "run", "Run the operator, as without a command"), releaseImage)
    .addHelpText("after", "\nA setting is taken from its flag, else its variable, else its default.")
    .action(async (_options, self: Command) => {
      const config = readConfig(flagsOf(self), env, releaseImage);
      const { run } = await import("./run.ts");
      done(await run(config));
    });
  program.addCommand(runCommand, { isDefault: true });
  program.addCommand(
    commandOf(PROGRAM, "render", "Show the objects that would be made for the TimeSeriesDBs of a file")
      .requiredOption("-f, --file <FILE>", "YAML file; - is the standard input")
      .option("--default-image <IMAGE>", "image of a database that asks for none", releaseImage)
      .option("--installation <NAME>", "id of the installation", "tsdb-system/tsdb-operator")
      .option(
        "--operator-namespace <NAMESPACE>",
        "where the operator runs, for a NetworkPolicy to let it in",
        "tsdb-system",
      )
      .action(async (options: RenderOptions) => done(await renderFile(options))),
  );
  program.addCommand(
    commandOf(PROGRAM, "crd", "Show the CustomResourceDefinition").action(() => {
      process.stdout.write(stringify(customResourceDefinition(), { lineWidth: 0 }));
    }),
  );
  return program;
}

interface RenderOptions {
  readonly file: string;
  readonly defaultImage: string;
  readonly installation: string;
  readonly operatorNamespace: string;
}

async function renderFile({ file, ...facts }: RenderOptions): Promise<number> {
  const { render } = await import("./desired/render.ts");
  let text: string;
  try {
    text = readFileSync(file === "-" ? 0 : file, "utf8");
  } catch (thrown) {
    throw new TsdbError("BAD_CONFIG", `Cannot read ${file}: ${messageOf(thrown)}`);
  }
  const rendered = render(text, { ...facts, hasServiceMonitors: true });
  process.stdout.write(rendered.text);
  for (const problem of rendered.problems) process.stderr.write(`${file}: ${problem}\n`);
  return rendered.problems.length === 0 ? 0 : EXIT_PROBLEMS;
}

/** By the names of the flags, which commander has in camel case. */
function flagsOf(command: Command): Record<string, string | true> {
  const flags: Record<string, string | true> = {};
  for (const option of command.options) {
    const value: unknown = command.getOptionValue(option.attributeName());
    if (option.long !== undefined && (typeof value === "string" || value === true)) flags[option.long.slice(2)] = value;
  }
  return flags;
}
