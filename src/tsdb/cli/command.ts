/** How every command of `tsdb` is made: errors in one voice, exit codes of ours. */
import { Command, type CommanderError } from "commander";
import { didYouMean } from "../../base/did-you-mean.ts";
import { exitCodes, type ExitCode } from "./exit.ts";

/** @param path the words that call it, such as "config print"; "tsdb" for the program itself */
export function newCommand(path: string, summary: string): Command {
  const call = path === "tsdb" ? path : `tsdb ${path}`;
  const command = new Command(path.split(" ").at(-1));
  return command
    .summary(summary)
    .description(`${summary}.`)
    .helpOption("-h, --help", "show this help")
    .helpCommand(false)
    .exitOverride()
    .allowExcessArguments(false)
    .showSuggestionAfterError(false)
    .showHelpAfterError(`      \`${call} --help\` lists what is allowed.`)
    .configureOutput({ outputError: (text, write) => write(errorText(text, command)) });
}

/** Commander's complaint in our form, with a guess of ours: its own takes the value after `=` for a part of the name. */
function errorText(text: string, command: Command): string {
  const [, what, given, rest] = /^error: unknown (option|command) '([^'=]+)[^']*'([^]*)$/.exec(text) ?? [];
  if (what === undefined || given === undefined) return text.replace(/^error: /, "tsdb: ");
  const known =
    what === "option" ? command.options.map(({ long }) => long ?? "") : command.commands.map((each) => each.name());
  return `tsdb: ${unknownText(what, given, known)}${rest ?? ""}`;
}

export function unknownText(what: string, given: string, known: readonly string[]): string {
  const guess = didYouMean(given, known);
  return `unknown ${what} '${given}'${guess === undefined ? "" : `; did you mean ${guess}?`}`;
}

/** Asking for help or the version ends well; everything else that commander ends a command for is wrong usage. */
export const exitCodeOf = ({ exitCode }: CommanderError): ExitCode => (exitCode === 0 ? exitCodes.ok : exitCodes.usage);
