/** `-o`: a table for people, or JSON for programs. */
import { Option } from "commander";

export const outputOption = (): Option =>
  new Option("-o, --output <FORMAT>", "how to print").choices(["table", "json"]).default("table");

/** One object, as `-o json` prints it. Numbers that are not finite become null. */
export const printJson = (value: unknown): void =>
  void process.stdout.write(`${JSON.stringify(value, undefined, 2)}\n`);
