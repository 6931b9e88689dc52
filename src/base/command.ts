/** How every command of our programs is made: errors in one voice. */
import { Command } from "commander";
import { didYouMean } from "./did-you-mean.ts";

/** @param path the words that call it after the program's name, such as "config print"; "" for the program itself */
export function commandOf(program: string, path: string, summary: string): Command {
  const call = path === "" ? program : `${program} ${path}`;
  const command = new Command(call.split(" ").at(-1));
  return command
    .summary(summary)
    .description(`${summary}.`)
    .helpOption("-h, --help", "show this help")
    .helpCommand(false)
    .exitOverride()
    .allowExcessArguments(false)
    .showSuggestionAfterError(false)
    .showHelpAfterError(`      \`${call} --help\` lists what is allowed.`)
    .configureOutput({ outputError: (text, write) => write(errorText(program, text, command)) });
}

/** Commander's complaint in our form, with a guess of ours: its own takes the value after `=` for a part of the name. */
function errorText(program: string, text: string, command: Command): string {
  const [, what, given, rest] = /^error: unknown (option|command) '([^'=]+)[^']*'([^]*)$/.exec(text) ?? [];
  if (what === undefined || given === undefined) return text.replace(/^error: /, `${program}: `);
  const known =
    what === "option" ? command.options.map(({ long }) => long ?? "") : command.commands.map((each) => each.name());
  return `${program}: ${unknownText(what, given, known)}${rest ?? ""}`;
}

export function unknownText(what: string, given: string, known: readonly string[]): string {
  const guess = didYouMean(given, known);
  return `unknown ${what} '${given}'${guess === undefined ? "" : `; did you mean ${guess}?`}`;
}
