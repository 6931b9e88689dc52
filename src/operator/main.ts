/**
 * Where the operator's process begins: the command line runs, its exit code is the process's. bin/tsdb-operator.mjs has made
 * sure that this is a Node that is new enough.
 */
import { runProgram } from "./program.ts";

// `tsdb-operator crd | head`: whoever read our output has seen enough, which is no error.
process.stdout.on("error", (error: NodeJS.ErrnoException) => process.exit(error.code === "EPIPE" ? 0 : 1));

process.exitCode = await runProgram(process.argv.slice(2), process.env);
