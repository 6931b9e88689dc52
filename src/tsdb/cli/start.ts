/**
 * `tsdb start`: the process around the database. Reads the configuration, logs, handles signals, and decides the exit code.
 *   SIGTERM, SIGINT  unready, drain, sync, close, exit 0; a second one exits at once with 130
 *   SIGHUP           reads the configuration again; what cannot be reloaded is named in the log. So does a configuration
 *                    file whose content changed
 */
import type { Command } from "commander";
import { systemClock } from "../../base/clock.ts";
import { messageOf, TsdbError } from "../../base/errors.ts";
import { createLogger } from "../../base/logger-pino.ts";
import { exitOnBug, stopSignal } from "../../base/process.ts";
import { formatListenAddress, type LoadedConfig } from "../config.ts";
import { ConfigWatch } from "../config/watch.ts";
import type { Server } from "../server.ts";
import { version } from "../version.ts";
import { newCommand } from "./command.ts";
import { exitCodes, type ExitCode } from "./exit.ts";
import { LiveConfig } from "./live-config.ts";
import { addSettingOptions, configFromOptions } from "./settings-options.ts";

/** Kubernetes kills after 30 s by default; the rest is for the last sync. */
const DRAIN_MS = 25_000;

export function command(done: (exitCode: ExitCode) => void): Command {
  return addSettingOptions(newCommand("start", "Run the database"))
    .addHelpText(
      "after",
      "\nA setting is taken from its flag, else its variable, else the --config file, else its default.",
    )
    .action(async (_options, self: Command) => done(await run(() => configFromOptions(self))));
}

/** Runs the database until it is told to stop; @throws TsdbError BAD_CONFIG */
async function run(load: () => LoadedConfig): Promise<ExitCode> {
  const loaded = load();
  const { logging, server: listening, storage } = loaded.config;
  const output = logging.output === "stdout" ? process.stdout : process.stderr;
  const color = output.isTTY && !process.env["NO_COLOR"];
  const log = await createLogger({ ...logging, color });
  exitOnBug(log, () => process.exit(exitCodes.failed));
  log.info(
    {
      version,
      node: process.versions.node,
      listen_addr: formatListenAddress(listening.listen),
      data_dir: storage.dataDir,
      config_file: loaded.file,
      config_hash: loaded.hash,
    },
    "starting TSDB server",
  );
  for (const warning of loaded.warnings) log.warn({}, warning);
  if (!loaded.config.wal.enabled) log.warn({}, "the write-ahead log is off: a crash loses what is only in memory");

  const stop = stopSignal(log, () => process.exit(exitCodes.interrupted));
  const live = new LiveConfig(loaded, load, log);
  const reload = (): void => {
    try {
      live.reload();
    } catch {
      // Told in the log; the old configuration stays in force.
    }
  };
  process.on("SIGHUP", reload);
  const watch = loaded.file === undefined ? undefined : new ConfigWatch(loaded.file, systemClock, reload);
  let server: Server | undefined;
  try {
    // Loaded only now: --help and a wrong flag need not wait for the database's code.
    const { openServer } = await import("../server.ts");
    server = await openServer({ live, log, clock: systemClock });
    const startedMs = systemClock.monotonicMs();
    // A start that fails ends the process; one that was interrupted by a stop ends with it.
    const ended = await Promise.race([server.start().then(() => undefined), stop]);
    if (ended === undefined) {
      const durationMs = Math.round(systemClock.monotonicMs() - startedMs);
      log.info({ url: server.url, duration_ms: durationMs }, "ready");
    }
    log.info({ signal: await stop }, "stopping");
    await server.close(DRAIN_MS);
    log.info({}, "stopped");
    return exitCodes.ok;
  } catch (thrown) {
    log.error({ error: thrown }, server ? `failed: ${messageOf(thrown)}` : `cannot start: ${messageOf(thrown)}`);
    // What was stored is on disk already; the close may fail for the same reason as the start did.
    await server?.close(0).catch((again: unknown) => log.error({ error: again }, "cannot close cleanly"));
    return thrown instanceof TsdbError && thrown.code === "FORMAT_TOO_NEW" ? exitCodes.formatTooNew : exitCodes.failed;
  } finally {
    watch?.stop();
    await log.close();
  }
}
