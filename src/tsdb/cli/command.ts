/** How every command of `tsdb` is made, and the exit codes of those that commander ends. */
import type { Command, CommanderError } from "commander";
import { commandOf } from "../../base/command.ts";
import { exitCodes, type ExitCode } from "./exit.ts";

/** @param path the words that call it, such as "config print"; "tsdb" for the program itself */
export const newCommand = (path: string, summary: string): Command =>
  commandOf("tsdb", path === "tsdb" ? "" : path, summary);

/** Asking for help or the version ends well; everything else that commander ends a command for is wrong usage. */
export const exitCodeOf = ({ exitCode }: CommanderError): ExitCode => (exitCode === 0 ? exitCodes.ok : exitCodes.usage);
