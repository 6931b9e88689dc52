#!/usr/bin/env node
/*
 * The first file of `tsdb`, in JavaScript that any Node since 12 reads: it sees to it that the rest runs on a Node that
 * is new enough. An older one hands over to the Node that the package brings along (node_modules/.bin/node): same
 * arguments, same terminal, signals passed on, same exit code.
 */
import { spawn } from "child_process";
import { existsSync, realpathSync } from "fs";
import { dirname, join } from "path";
import { fileURLToPath } from "url";

var MIN_MAJOR = 24;
var MIN_MINOR = 15;

var root = dirname(dirname(realpathSync(fileURLToPath(import.meta.url))));
var pinned = join(root, "node_modules", ".bin", "node");
var version = process.versions.node.split(".").map(Number);

if (version[0] > MIN_MAJOR || (version[0] === MIN_MAJOR && version[1] >= MIN_MINOR)) {
  import("../src/tsdb/main.ts");
} else if (!existsSync(pinned) || realpathSync(pinned) === realpathSync(process.execPath)) {
  fail("tsdb needs Node " + MIN_MAJOR + "." + MIN_MINOR + " or newer and this is " + process.version +
    ": run `npm ci` in " + root + ", which brings one along, or install a newer Node.");
} else {
  handOver();
}

function handOver() {
  var child = spawn(pinned, process.execArgv.concat(process.argv.slice(1)), { stdio: "inherit" });
  var stderrHint = "cannot run " + pinned + ", the Node that tsdb brings along";
  ["SIGTERM", "SIGINT", "SIGHUP"].forEach(function (signal) {
    process.on(signal, function () {
      child.kill(signal);
    });
  });
  child.on("error", function (error) {
    fail(stderrHint + ": " + error.message + ". Run `npm ci` again, or install Node " + MIN_MAJOR + "." + MIN_MINOR + ".");
  });
  child.on("exit", function (code, signal) {
    // 127 is the dynamic loader's: it has just named the library that is missing, which Node 25 and later have only one of.
    if (code === 127) fail(stderrHint + ". If libatomic.so.1 is missing, install it: apt-get install libatomic1 (Debian, Ubuntu) or dnf install libatomic (Fedora, RHEL).");
    if (signal === null) process.exit(code);
    ["SIGTERM", "SIGINT", "SIGHUP"].forEach(function (name) {
      process.removeAllListeners(name);
    });
    process.kill(process.pid, signal);
  });
}

function fail(message) {
  process.stderr.write("tsdb: " + message + "\n");
  process.exit(1);
}
