/**
 * One database and its two HTTP listeners, from lock to lock. Listening comes first and replay second, so that probes are
 * answered, and say "replaying", while a large log is read. Knows nothing of the process around it: signals, exit codes
 * and the command line are cli/start.ts.
 */
import type { FastifyInstance } from "fastify";
import type { Clock } from "../base/clock.ts";
import { errnoOf, messageOf, TsdbError } from "../base/errors.ts";
import { acquireDataDirLock } from "../base/lock.ts";
import type { Logger } from "../base/logger.ts";
import { compose } from "./compose.ts";
import { formatListenAddress, type ConfigInForce, type ListenAddress } from "./config.ts";

export interface ServerDeps {
  readonly live: ConfigInForce;
  readonly log: Logger;
  readonly clock: Clock;
}

export interface Server {
  /** Where the API listens, as a URL; the port is the real one where 0 was asked for. */
  readonly url: string;
  readonly probeUrl: string | undefined;
  /** Replays and begins to accept writes; rejects when the data directory cannot be used. */
  start(): Promise<void>;
  /**
   * Unready at once; stops accepting, lets requests in flight end for at most `drainMs`, syncs and closes the database,
   * frees the directory. Idempotent, and allowed while `start` runs.
   */
  close(drainMs: number): Promise<void>;
}

/**
 * Locks the data directory and listens.
 * @throws TsdbError DATA_DIR_LOCKED, IO (the directory, or an address that cannot be listened on); nothing stays open
 */
export async function openServer({ live, log, clock }: ServerDeps): Promise<Server> {
  const { config } = live.current;
  const cleanups: (() => void | Promise<void>)[] = [];
  try {
    const lock = acquireDataDirLock(config.storage.dataDir);
    cleanups.push(() => lock.release());
    const { database, app, probeApp, lifecycle, closeQueries } = compose({ live, log, clock });
    cleanups.push(() => database.close(), closeQueries);

    const { listen, probeListen } = config.server;
    let probeUrl: string | undefined;
    if (probeListen) {
      cleanups.push(() => probeApp.close());
      probeUrl = await listenOn(probeApp, probeListen, "probe-listen");
    }
    cleanups.push(() => app.close());
    const url = await listenOn(app, listen, "listen");
    log.info({ url, probe_url: probeUrl }, "listening");

    let closing: Promise<void> | undefined;
    return {
      url,
      probeUrl,
      start: () => database.start(),
      close(drainMs) {
        closing ??= (async () => {
          lifecycle.stop();
          await drain(app, drainMs, log, clock);
          await runAll(cleanups);
        })();
        return closing;
      },
    };
  } catch (thrown) {
    await runAll(cleanups);
    throw thrown;
  }
}

/** Last opened, first closed. Everything is tried; the first failure is what is thrown. */
async function runAll(cleanups: readonly (() => void | Promise<void>)[]): Promise<void> {
  const failures: unknown[] = [];
  for (const cleanup of cleanups.toReversed()) {
    try {
      await cleanup();
    } catch (thrown) {
      failures.push(thrown);
    }
  }
  if (failures.length > 0) throw failures[0];
}

/** Stops accepting and waits for the requests in flight, but no longer than `drainMs`: then they are cut off. */
async function drain(app: FastifyInstance, drainMs: number, log: Logger, clock: Clock): Promise<void> {
  const timer = clock.after(drainMs, () => {
    log.warn({ drain_ms: drainMs }, "requests still in flight are cut off");
    app.server.closeAllConnections();
  });
  await app.close();
  timer.cancel();
}

async function listenOn(app: FastifyInstance, address: ListenAddress, flag: string): Promise<string> {
  try {
    // An empty host is every interface, IPv6 and IPv4 alike, as in Go; a machine without IPv6 has only the latter.
    const hosts = address.host === "" ? ["::", "0.0.0.0"] : [address.host];
    for (const [i, host] of hosts.entries()) {
      try {
        await app.listen({ host, port: address.port });
        break;
      } catch (thrown) {
        const lacksFamily = errnoOf(thrown) === "EAFNOSUPPORT" || errnoOf(thrown) === "EADDRNOTAVAIL";
        if (!lacksFamily || i === hosts.length - 1) throw thrown;
      }
    }
  } catch (thrown) {
    throw cannotListen(address, flag, thrown);
  }
  const bound = app.server.address();
  const port = typeof bound === "object" && bound !== null ? bound.port : address.port;
  return `http://${formatListenAddress({ host: address.host || "localhost", port })}`;
}

function cannotListen(address: ListenAddress, flag: string, cause: unknown): TsdbError {
  const reasons: Readonly<Record<string, string>> = {
    EADDRINUSE: "the address is in use",
    EACCES: "permission denied (ports below 1024 need a privilege)",
    EADDRNOTAVAIL: "this machine has no such address",
    ENOTFOUND: "there is no host of that name",
    EAI_AGAIN: "the name cannot be looked up now",
  };
  const reason = reasons[errnoOf(cause) ?? ""] ?? messageOf(cause);
  return new TsdbError("IO", `Cannot listen on ${formatListenAddress(address)}: ${reason}`, {
    remedy: `${errnoOf(cause) === "EADDRINUSE" ? "Stop whatever uses it, or choose" : "Choose"} another address with --${flag}`,
    cause,
  });
}
