/**
 * The command line. A command's module is loaded only when that command is run, so that `tsdb query` does not wait for
 * the database's code.
 */
import { CommanderError, type Command } from "commander";
import { version } from "../version.ts";
import { unknownText } from "../../base/command.ts";
import { exitCodeOf, newCommand } from "./command.ts";
import { CommandError, exitCodeHelp, exitCodes, tell, type ExitCode } from "./exit.ts";

interface CommandModule {
  /** The command, ready to run; its action resolves with the exit code through `done`. */
  command(done: (exitCode: ExitCode) => void): Command;
}

interface LazyCommand {
  readonly summary: string;
  readonly load: () => Promise<CommandModule>;
}

export const commands: Readonly<Record<string, LazyCommand>> = {
  start: { summary: "Run the database", load: () => import("./start.ts") },
  config: { summary: "Show or check the configuration", load: () => import("./config.ts") },
  write: { summary: "Write samples to a running database", load: () => import("./write.ts") },
  query: { summary: "Run a PromQL query on a running database", load: () => import("./query.ts") },
  verify: { summary: "Check every byte of a data directory against its checksums", load: () => import("./verify.ts") },
  compact: {
    summary: "Merge the blocks of a data directory whose server is stopped",
    load: () => import("./compact.ts"),
  },
  export: { summary: "Bring what a data directory holds to other programs", load: () => import("./export.ts") },
  import: { summary: "Bring samples from elsewhere to a data directory", load: () => import("./import.ts") },
  inspect: {
    summary: "Show the blocks of a data directory, or what is in one of them",
    load: () => import("./inspect.ts"),
  },
  "inspect-wal": {
    summary: "Show what a write-ahead log holds and what is damaged in it",
    load: () => import("./inspect-wal.ts"),
  },
};

/** @param args the arguments after `tsdb`; @returns the exit code, once the command is over */
export async function runProgram(args: readonly string[], debug: boolean): Promise<ExitCode> {
  let exitCode: ExitCode = 0;
  try {
    const program = await programFor(args, (code) => void (exitCode = code));
    await program.parseAsync(args, { from: "user" });
  } catch (thrown) {
    if (thrown instanceof CommanderError) return exitCodeOf(thrown);
    const told = tell(thrown, debug);
    process.stderr.write(`${told.lines.join("\n")}\n`);
    return told.exitCode;
  }
  return exitCode;
}

/** The program with the command that `args` name loaded, and the others as names for the help. */
export async function programFor(args: readonly string[], done: (exitCode: ExitCode) => void): Promise<Command> {
  const program = newCommand("tsdb", "A Prometheus-compatible time-series database")
    .version(`tsdb ${version} (Node ${process.versions.node})`, "-V, --version", "show the version")
    .helpCommand("help [COMMAND]", "show the help of a command")
    .addHelpText("afterAll", exitCodeHelp);
  const [wanted, ofHelp] = args;
  // Commander would show the program's own help, and not say that there is no such command.
  if (wanted === "help" && ofHelp !== undefined && !Object.hasOwn(commands, ofHelp))
    throw new CommandError(
      exitCodes.usage,
      unknownText("command", ofHelp, Object.keys(commands)),
      "`tsdb --help` lists what is allowed",
    );
  for (const [name, { summary, load }] of Object.entries(commands)) {
    const isWanted = name === (wanted === "help" ? ofHelp : wanted);
    program.addCommand(isWanted ? (await load()).command(done) : newCommand(name, summary));
  }
  return program;
}
