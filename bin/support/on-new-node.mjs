/*
 * What the first file of a program does, in JavaScript that any Node since 12 reads: it sees to it that the rest runs on a
 * Node that is new enough. An older one hands over to the Node that the package brings along (node_modules/.bin/node): same
 * arguments, same terminal, signals passed on, same exit code.
 */
import { spawn } from "child_process";
import { existsSync, realpathSync } from "fs";
import { dirname, join } from "path";
import { fileURLToPath } from "url";

const MIN_MAJOR = 24;
const MIN_MINOR = 15;

const root = dirname(dirname(dirname(realpathSync(fileURLToPath(import.meta.url)))));
const pinned = join(root, "node_modules", ".bin", "node");

/**
 * @param {string} program its name, for messages
 * @param {() => Promise<unknown>} load imports its main module
 */
export function onNewNode(program, load) {
  const [major, minor] = process.versions.node.split(".").map(Number);
  if (major > MIN_MAJOR || (major === MIN_MAJOR && minor >= MIN_MINOR)) {
    void load();
  } else if (existsSync(pinned) && realpathSync(pinned) !== realpathSync(process.execPath)) {
    handOver(program);
  } else {
    fail(
      program,
      `Node ${MIN_MAJOR}.${MIN_MINOR} or newer is needed and this is ${process.version}: run \`npm ci\` in ${root}, ` +
        "which brings one along, or install a newer Node.",
    );
  }
}

/** @param {string} program */
function handOver(program) {
  const cannotRun = `cannot run ${pinned}, the Node that ${program} brings along`;
  const signals = ["SIGTERM", "SIGINT", "SIGHUP"];
  const child = spawn(pinned, [...process.execArgv, ...process.argv.slice(1)], { stdio: "inherit" });
  for (const signal of signals) process.on(signal, () => void child.kill(signal));
  child.on("error", ({ message }) =>
    fail(program, `${cannotRun}: ${message}. Run \`npm ci\` again, or install Node ${MIN_MAJOR}.${MIN_MINOR}.`),
  );
  child.on("exit", (code, signal) => {
    // The dynamic loader's: it has just named the library that is missing, and Node 25 and later need one that few have.
    if (code === 127)
      fail(
        program,
        `${cannotRun}. If libatomic.so.1 is missing, install it: ` +
          "apt-get install libatomic1 (Debian, Ubuntu) or dnf install libatomic (Fedora, RHEL).",
      );
    if (signal === null) process.exit(code);
    for (const name of signals) process.removeAllListeners(name);
    process.kill(process.pid, signal);
  });
}

/**
 * @param {string} program
 * @param {string} message
 */
function fail(program, message) {
  process.stderr.write(`${program}: ${message}\n`);
  process.exit(1);
}
