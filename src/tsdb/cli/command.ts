/** How every command of `tsdb` is made: errors in one voice, exit codes of ours. */
import { Command, CommanderError } from "commander";
import { exitCodes, type ExitCode } from "./exit.ts";

/** @param path the words that call it, such as "config print"; "tsdb" for the program itself */
export function newCommand(path: string, summary: string): Command {
  const call = path === "tsdb" ? path : `tsdb ${path}`;
  return new Command(path.split(" ").at(-1))
    .summary(summary)
    .description(`${summary}.`)
    .helpOption("-h, --help", "show this help")
    .exitOverride()
    .allowExcessArguments(false)
    .configureOutput({ outputError: (text, write) => write(errorText(text)) })
    .helpCommand(false)
    .showHelpAfterError(`      \`${call} --help\` lists what is allowed.`);
}

/** Commander's complaint in our form: one line that says what is wrong, with its guess. */
function errorText(text: string): string {
  return text
    .replace(/^error: /, "tsdb: ")
    .replace(/unknown option '(--[^=']+)=[^']*'/, "unknown option '$1'")
    .replace(/\n\(Did you mean (.+)\?\)/, "; did you mean $1?");
}

/** Help and --version end well; everything else that commander ends a command for is wrong usage. */
export const exitCodeOf = (error: CommanderError): ExitCode =>
  error.code === "commander.helpDisplayed" || error.code === "commander.version" ? exitCodes.ok : exitCodes.usage;
