/** The operator's own client, reflectors and lease in the test's process, through the fault proxy. */
import { systemClock } from "../../../src/base/clock.ts";
import type { Clock } from "../../../src/base/clock.ts";
import { silentLogger } from "../../../src/base/logger.ts";
import { ClusterClient } from "../../../src/operator/cluster/client.ts";
import { Connection, loadKubeConfig } from "../../../src/operator/cluster/connection.ts";
import { RESOURCES } from "../../../src/operator/cluster/objects.ts";
import type { ResourceType } from "../../../src/operator/cluster/objects.ts";
import { Reflector } from "../../../src/operator/cluster/reflector.ts";
import type { ReflectorTimes } from "../../../src/operator/cluster/reflector.ts";
import { Store } from "../../../src/operator/cluster/store.ts";
import { until } from "../../support/until.ts";
import type { TestCluster } from "../support/test-cluster.ts";

export interface OwnClient extends AsyncDisposable {
  readonly client: ClusterClient;
  readonly warnings: string[];
}

export interface OwnClientOptions {
  readonly clock?: Clock;
  /** Whose rights it has: an administrator's when absent. */
  readonly kubeconfig?: string;
}

export function ownClient(cluster: TestCluster, options: OwnClientOptions = {}): OwnClient {
  const { clock = systemClock, kubeconfig } = options;
  const path =
    kubeconfig ?? cluster.proxy.kubeconfig(cluster.kubeconfig, cluster.workspace.path("own-client.kubeconfig"));
  const connection = new Connection(() => loadKubeConfig({ path }), clock);
  const warnings: string[] = [];
  const client = new ClusterClient({
    connection,
    clock,
    random: Math.random,
    userAgent: "tsdb-operator/e2e",
    mayWrite: () => true,
    onAttempt: () => {},
    onWarning: (warning) => warnings.push(warning),
  });
  return { client, warnings, [Symbol.asyncDispose]: () => connection.close() };
}

/** A store of the test's namespace, kept by a reflector. */
export class Mirror implements AsyncDisposable {
  readonly store: Store;
  readonly changes: string[] = [];
  readonly lists: string[] = [];
  readonly ends: string[] = [];
  readonly #reflector: Reflector;
  readonly #own: OwnClient;
  readonly #cluster: TestCluster;

  private constructor(cluster: TestCluster, type: ResourceType, times: Partial<ReflectorTimes>) {
    this.#cluster = cluster;
    this.#own = ownClient(cluster);
    this.store = new Store({
      type,
      ownerOf: ({ metadata }) => metadata.name,
      onChange: (owner) => this.changes.push(owner),
    });
    this.#reflector = new Reflector({
      client: this.#own.client,
      store: this.store,
      namespace: cluster.namespace,
      clock: systemClock,
      random: Math.random,
      log: silentLogger,
      onList: (reason) => this.lists.push(reason),
      onWatchEnd: (reason) => this.ends.push(reason),
      times,
    });
    this.#reflector.start();
  }

  static async of(
    cluster: TestCluster,
    type: ResourceType = RESOURCES.configMap,
    times: Partial<ReflectorTimes> = {},
  ): Promise<Mirror> {
    const mirror = new Mirror(cluster, type, times);
    await until("the first list", () => (mirror.#reflector.isSynced ? true : undefined));
    await mirror.watched();
    return mirror;
  }

  /** The watch stands. */
  async watched(): Promise<void> {
    const of = {
      resource: this.store.type.plural,
      namespace: this.#cluster.namespace,
      userAgent: /tsdb-operator\/e2e/,
    };
    await until("the watch", () => (this.#cluster.proxy.watches(of).length === 1 ? true : undefined));
  }

  get problem(): string | undefined {
    return this.#reflector.problem;
  }

  /** Names and versions, as they are here and as they are there. */
  async compared(): Promise<{ readonly here: readonly string[]; readonly there: readonly string[] }> {
    const { apiVersion, kind } = { apiVersion: "v1", kind: this.store.type.kind };
    const there = await this.#cluster.api.list(apiVersion, kind, this.#cluster.namespace);
    return { here: versionsOf(Array.from(this.store.all(), ({ object }) => object)), there: versionsOf(there) };
  }

  /** Waits until what is here is what is there. */
  async caughtUp(timeoutMs = 30_000): Promise<void> {
    await until(
      "the store to be what is there",
      async () => {
        const { here, there } = await this.compared();
        return JSON.stringify(here) === JSON.stringify(there) ? true : undefined;
      },
      { timeoutMs, everyMs: 200 },
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#reflector.stop();
    await this.#own[Symbol.asyncDispose]();
  }
}

const versionsOf = (objects: readonly { readonly metadata: { name: string; resourceVersion?: string } }[]): string[] =>
  objects.map(({ metadata }) => `${metadata.name}@${metadata.resourceVersion}`).sort();
