/**
 * `tsdb-operator run`: the process around the controller. Watches from the start, acts while it leads, and ends with a code.
 *   SIGTERM, SIGINT  what runs ends, the lease is given up, exit 0; a second one exits at once with 130
 *   lease lost       exit 1: another acts now, and this process must not
 */
import { randomBytes } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";
import { hostname } from "node:os";
import { Registry, collectDefaultMetrics } from "prom-client";
import { systemClock } from "../base/clock.ts";
import { messageOf } from "../base/errors.ts";
import { createLogger, type ProcessLogger } from "../base/logger-pino.ts";
import { exitOnBug, stopSignal } from "../base/process.ts";
import { version } from "../tsdb/version.ts";
import { askEngine } from "./ask-engine.ts";
import { ClusterCache } from "./cluster/cache.ts";
import { ClusterClient } from "./cluster/client.ts";
import { Connection, loadKubeConfig } from "./cluster/connection.ts";
import { EventRecorder } from "./cluster/events.ts";
import { LeaseHolder, type LeaseState } from "./cluster/lease.ts";
import { ClusterMetrics } from "./cluster/metrics.ts";
import type { OperatorConfig } from "./config.ts";
import { OperatorHttp } from "./http.ts";
import { ReconcileMetrics } from "./metrics.ts";
import { Controller } from "./reconcile/controller.ts";
import { WATCHED, World } from "./reconcile/world.ts";

export const exitCodes = { ok: 0, failed: 1, usage: 2, foundProblems: 3, interrupted: 130 } as const;

/** Where a pod finds the namespace it runs in. */
const NAMESPACE_FILE = "/var/run/secrets/kubernetes.io/serviceaccount/namespace";
const LEASE_NAMESPACE = "tsdb-system";

/** Runs the operator until it is told to stop. @throws TsdbError BAD_CONFIG */
export async function run(config: OperatorConfig): Promise<number> {
  const { logLevel: level, logFormat: format } = config;
  const color = process.stdout.isTTY && !process.env["NO_COLOR"];
  const log = await createLogger({ level, format, output: "stdout", color });
  exitOnBug(log, () => process.exit(exitCodes.failed));
  try {
    const stop = stopSignal(log, () => process.exit(exitCodes.interrupted));
    const operator = await Operator.open(config, log);
    const ended = await Promise.race([operator.ended, stop]);
    log.info({ reason: ended }, "stopping");
    await (ended === "lost" ? operator.abandon() : operator.close());
    log.info({}, "stopped");
    return ended === "lost" ? exitCodes.failed : exitCodes.ok;
  } catch (thrown) {
    log.error({ error: thrown }, `cannot start: ${messageOf(thrown)}`);
    return exitCodes.failed;
  } finally {
    await log.close();
  }
}

class Operator {
  /** Resolves when the lease is another's. */
  readonly ended: Promise<"lost">;
  readonly #connection: Connection;
  readonly #cache: ClusterCache;
  readonly #controller: Controller;
  readonly #events: EventRecorder;
  readonly #lease: LeaseHolder | undefined;
  readonly #http: OperatorHttp | undefined;

  private constructor(parts: {
    readonly ended: Promise<"lost">;
    readonly connection: Connection;
    readonly cache: ClusterCache;
    readonly controller: Controller;
    readonly events: EventRecorder;
    readonly lease: LeaseHolder | undefined;
    readonly http: OperatorHttp | undefined;
  }) {
    this.ended = parts.ended;
    this.#connection = parts.connection;
    this.#cache = parts.cache;
    this.#controller = parts.controller;
    this.#events = parts.events;
    this.#lease = parts.lease;
    this.#http = parts.http;
  }

  static async open(config: OperatorConfig, log: ProcessLogger): Promise<Operator> {
    const clock = systemClock;
    const common = { clock, random: Math.random, log };
    const { kubeconfig: path, context } = config;
    const connection = new Connection(
      () => loadKubeConfig({ ...(path !== undefined && { path }), ...(context !== undefined && { context }) }),
      clock,
    );
    const ownNamespace = existsSync(NAMESPACE_FILE) ? readFileSync(NAMESPACE_FILE, "utf8").trim() : undefined;
    const leaseKey = { namespace: config.leaseNamespace ?? ownNamespace ?? LEASE_NAMESPACE, name: config.leaseName };
    const installation = config.installation ?? `${leaseKey.namespace}/${leaseKey.name}`;
    const identity = `${hostname()}_${randomBytes(6).toString("hex")}`;

    const registry = new Registry();
    collectDefaultMetrics({ register: registry });
    const clusterMetrics = new ClusterMetrics(registry);
    const reconcileMetrics = new ReconcileMetrics(registry);

    let lease: LeaseHolder | undefined;
    const mayWrite = (): boolean => lease?.holds() ?? true;
    const warned = new Set<string>();
    const client = new ClusterClient({
      connection,
      clock,
      random: common.random,
      userAgent: `tsdb-operator/${version}`,
      mayWrite,
      onAttempt: clusterMetrics.onAttempt,
      onWarning: (warning, { action }) => {
        clusterMetrics.onWarning();
        if (warned.has(warning) || warned.size >= WARNINGS_MAX) return;
        warned.add(warning);
        log.warn({ warning, action }, "the API server warns");
      },
    });

    const events = new EventRecorder({
      ...common,
      client,
      instance: identity,
      onOutcome: clusterMetrics.onEvent,
    });
    const cache: ClusterCache = new ClusterCache({
      ...common,
      client,
      resources: WATCHED,
      namespaces: config.namespaces ?? [],
      onChange: (owner) => controller.add(owner),
      // Each database may ask for one, or have had one.
      onServed: () => controller.addAll(),
      metrics: clusterMetrics,
      times: { auditMs: config.relistIntervalMs },
    });
    const controller = new Controller({
      client,
      events,
      clock,
      log,
      world: new World(cache),
      workers: config.workers,
      stateIntervalMs: config.stateIntervalMs,
      lookIntervalMs: config.relistIntervalMs,
      askEngine,
      onRun: reconcileMetrics.onRun,
      onUnstableField: reconcileMetrics.onUnstableField,
      facts: { installation, defaultImage: config.defaultImage, operatorNamespace: ownNamespace },
    });
    reconcileMetrics.showQueue(() => controller.stats());
    clusterMetrics.showLeading(mayWrite);

    const lost = Promise.withResolvers<"lost">();
    const onLease = (state: LeaseState): void => {
      // What failed while nothing could be written is not to wait for its next try.
      if (state === "leading") controller.addAll();
      if (state === "lost") lost.resolve("lost");
    };
    if (config.isLeaderElected)
      lease = new LeaseHolder({ client, key: leaseKey, identity, ...common, onChange: onLease });

    const { metricsListen } = config;
    const http =
      metricsListen === null
        ? undefined
        : await OperatorHttp.listen({
            host: metricsListen.host === "" ? undefined : metricsListen.host,
            port: metricsListen.port,
            registry,
            unhealthy: () => (lease === undefined ? [] : leaseProblems(lease)),
            unready: () => cache.unsynced(),
            log,
          });
    log.info(
      {
        version,
        node: process.versions.node,
        installation,
        identity,
        server: connection.server,
        namespaces: config.namespaces ?? "all",
        lease: config.isLeaderElected ? `${leaseKey.namespace}/${leaseKey.name}` : "none",
        metrics_port: http?.port,
      },
      "starting tsdb-operator",
    );
    const operator = new Operator({ ended: lost.promise, connection, cache, controller, events, lease, http });
    cache.start();
    lease?.start();
    operator.#begin(mayWrite, log);
    return operator;
  }

  /** Acts as soon as it leads and has seen the cluster. */
  #begin(mayWrite: () => boolean, log: ProcessLogger): void {
    if (this.#cache.isSynced && mayWrite()) {
      log.info({}, "acting");
      this.#controller.start();
    } else systemClock.after(BEGIN_LOOK_MS, () => this.#begin(mayWrite, log));
  }

  /** Another acts now: what is under way is cut off. */
  async abandon(): Promise<void> {
    await this.#connection.close();
    await this.close();
  }

  async close(): Promise<void> {
    await this.#controller.stop();
    await this.#events.flush();
    await this.#lease?.release();
    await this.#cache.stop();
    await this.#http?.close();
    await this.#connection.close();
  }
}

/** A leader that cannot reach the API server any more does nothing; a new process may find a way that this one does not. */
const leaseProblems = ({ state, problem }: LeaseHolder): readonly string[] =>
  state === "suspended" || state === "lost" ? [`the lease is ${state}: ${problem ?? "another process has it"}`] : [];

const BEGIN_LOOK_MS = 100;
/** Of different texts; a server that makes up new ones must not fill the memory. */
const WARNINGS_MAX = 100;
