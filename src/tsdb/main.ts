/**
 * Where the process begins: the command line runs, its exit code is the process's. bin/tsdb.mjs has made sure that this
 * is a Node that is new enough.
 */
import { runProgram } from "./cli/program.ts";

// `tsdb query ... | head`: whoever read our output has seen enough, which is no error.
process.stdout.on("error", (error: NodeJS.ErrnoException) => process.exit(error.code === "EPIPE" ? 0 : 1));

process.exitCode = await runProgram(process.argv.slice(2), process.env["TSDB_DEBUG"] === "1");
