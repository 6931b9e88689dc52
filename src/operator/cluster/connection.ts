/**
 * The way to the API server: its address, who we are, and one pool of connections that every request shares. What the
 * kubeconfig, the service account and their plug-ins say comes from @kubernetes/client-node; requests never go through its
 * own client, which opens a connection for each (docs/decisions/0013-own-kubernetes-client.md).
 *
 * Tokens, certificates and authorities rotate under a process that runs for months: they are looked at again before requests,
 * the pool is replaced when what its TLS was made of has changed, and a 401 has the whole configuration loaded anew.
 */
import type { RequestOptions as HttpsOptions } from "node:https";
import { KubeConfig } from "@kubernetes/client-node";
import { Agent, ProxyAgent, Socks5ProxyAgent } from "undici";
import type { Dispatcher } from "undici";
import type { Clock } from "../../base/clock.ts";
import { TsdbError } from "../../base/errors.ts";

/** How long what was read from the disk counts as fresh. A rotated token overlaps with its successor by minutes. */
const CREDENTIALS_MS = 1_000;
/** A 401 that lasts, such as a deleted account, must not have the configuration loaded for each request. */
const RELOAD_MS = 10_000;

/** Below the 60 s after which common load balancers forget an idle connection without a word. */
const POOL_OPTIONS = {
  // One connection for each watch and each call that runs. Over HTTP/2 they would all share one, and its fate: a stalled
  // connection would stall the lease, too.
  allowH2: false,
  pipelining: 1,
  keepAliveTimeout: 30_000,
  keepAliveMaxTimeout: 45_000,
  // Limits of time are the client's, for the whole of a call; a watch may be silent for minutes.
  headersTimeout: 0,
  bodyTimeout: 0,
} as const;
const CONNECT_OPTIONS = { timeout: 10_000, keepAlive: true, keepAliveInitialDelay: 30_000 } as const;

/** What a request needs to get there. */
export interface Route {
  readonly origin: string;
  /** Of a server behind a path, as of some multi-cluster gateways; else empty. */
  readonly pathPrefix: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly dispatcher: Dispatcher;
}

export class Connection {
  readonly #load: () => KubeConfig;
  readonly #clock: Clock;
  #config: KubeConfig;
  #configLoadedMs: number;
  #route: Route | undefined;
  #routeMadeMs = 0;
  #pending: Promise<Route> | undefined;
  #pool: { readonly dispatcher: Dispatcher; readonly madeOf: string } | undefined;
  #isClosed = false;

  /**
   * @param load reads the kubeconfig; called again when the API server does not know us any more
   * @throws TsdbError BAD_CONFIG
   */
  constructor(load: () => KubeConfig, clock: Clock) {
    this.#load = load;
    this.#clock = clock;
    this.#config = loaded(load);
    this.#configLoadedMs = clock.monotonicMs();
  }

  /** The server's address, for messages. */
  get server(): string {
    return this.#config.getCurrentCluster()?.server ?? "";
  }

  /** The namespace of the current context: in a pod, the pod's own. */
  get namespace(): string | undefined {
    const namespace = this.#config.getContextObject(this.#config.getCurrentContext())?.namespace?.trim();
    return namespace === "" ? undefined : namespace;
  }

  /** Throws what the token's file, the certificates or a plug-in throw. */
  async route(): Promise<Route> {
    // Whatever was cut off by the end is not to begin anew.
    if (this.#isClosed) throw new Error("the connection is closed");
    if (this.#route !== undefined && this.#clock.monotonicMs() - this.#routeMadeMs < CREDENTIALS_MS) return this.#route;
    // Many requests may ask at once; a plug-in is a program that is to be run once.
    this.#pending ??= this.#makeRoute().finally(() => void (this.#pending = undefined));
    return this.#pending;
  }

  /** To be called after a 401. @returns whether there is something new to try */
  reload(): boolean {
    if (this.#clock.monotonicMs() - this.#configLoadedMs < RELOAD_MS) return false;
    this.#configLoadedMs = this.#clock.monotonicMs();
    try {
      this.#config = loaded(this.#load);
    } catch {
      // Half a file, as it is while somebody writes it: the old one is no worse, and the next 401 looks again.
      return false;
    }
    this.#route = undefined;
    return true;
  }

  /** Ends every connection, and whatever runs on it. */
  async close(): Promise<void> {
    this.#isClosed = true;
    await this.#pool?.dispatcher.destroy();
    this.#pool = undefined;
  }

  async #makeRoute(): Promise<Route> {
    const config = this.#config;
    const options: HttpsOptions = {};
    // Also makes an agent of Node's, which opens nothing and is not used. It refuses plain HTTP unless TLS was switched off.
    await config.applyToHTTPSOptions(options);
    const cluster = config.getCurrentCluster();
    const url = new URL(cluster!.server);
    const route: Route = {
      origin: url.origin,
      pathPrefix: url.pathname.replace(/\/+$/, ""),
      headers: headersOf(options),
      dispatcher: this.#poolFor(config, options),
    };
    if (config !== this.#config) return this.#makeRoute();
    this.#route = route;
    this.#routeMadeMs = this.#clock.monotonicMs();
    return route;
  }

  #poolFor(config: KubeConfig, options: HttpsOptions): Dispatcher {
    const { ca, cert, key, servername, rejectUnauthorized } = options;
    const proxyUrl = config.getCurrentCluster()?.proxyUrl;
    const madeOf = JSON.stringify(
      [ca, cert, key].map(pemText).concat(servername ?? "", String(rejectUnauthorized), proxyUrl ?? ""),
    );
    if (this.#pool?.madeOf === madeOf) return this.#pool.dispatcher;
    // What still runs on the old pool may end; nothing new goes there.
    void this.#pool?.dispatcher.close().catch(() => {});
    const tls = definedOf({ ca, cert, key, servername, rejectUnauthorized });
    const connect = { ...CONNECT_OPTIONS, ...tls };
    const dispatcher =
      proxyUrl === undefined || proxyUrl === ""
        ? new Agent({ ...POOL_OPTIONS, connect })
        : proxyUrl.startsWith("socks")
          ? new Socks5ProxyAgent(proxyUrl, { ...POOL_OPTIONS, requestTls: connect })
          : new ProxyAgent({ ...POOL_OPTIONS, uri: proxyUrl, requestTls: connect });
    this.#pool = { dispatcher, madeOf };
    return dispatcher;
  }
}

/**
 * Reads the kubeconfig: the given file, else $KUBECONFIG, else ~/.kube/config, else the pod's service account.
 * @param context another than the current one
 */
export function loadKubeConfig({
  path,
  context,
}: { readonly path?: string; readonly context?: string } = {}): KubeConfig {
  const config = new KubeConfig();
  if (path === undefined) config.loadFromDefault();
  else config.loadFromFile(path);
  if (context !== undefined) config.setCurrentContext(context);
  return config;
}

function loaded(load: () => KubeConfig): KubeConfig {
  let config: KubeConfig;
  try {
    config = load();
  } catch (error) {
    throw new TsdbError("BAD_CONFIG", "Cannot read the kubeconfig", { cause: error });
  }
  const cluster = config.getCurrentCluster();
  if (cluster === null)
    throw new TsdbError("BAD_CONFIG", `The kubeconfig has no context "${config.getCurrentContext()}" with a cluster`, {
      remedy: `Its contexts are: ${
        config
          .getContexts()
          .map(({ name }) => name)
          .join(", ") || "none"
      }`,
    });
  if (!URL.canParse(cluster.server))
    throw new TsdbError("BAD_CONFIG", `The kubeconfig's server "${cluster.server}" is no URL`);
  // What client-node answers when it has found nothing at all.
  if (cluster.server === "http://localhost:8080" && cluster.name === "cluster" && !cluster.skipTLSVerify)
    throw new TsdbError("BAD_CONFIG", "There is no kubeconfig", {
      remedy: "Set KUBECONFIG, write ~/.kube/config, or run in a pod with a service account",
    });
  return config;
}

function headersOf({ headers, auth }: HttpsOptions): Record<string, string> {
  const texts: Record<string, string> = {};
  for (const [name, value] of Object.entries(headers ?? {}))
    // A token's file may end in a newline, which no header may have.
    if (value !== undefined && value !== null) texts[name.toLowerCase()] = String(value).trim();
  if (auth !== undefined && auth !== null) texts["authorization"] = `Basic ${Buffer.from(auth).toString("base64")}`;
  return texts;
}

const pemText = (pem: HttpsOptions["ca" | "cert" | "key"]): string =>
  Buffer.isBuffer(pem) ? pem.toString("latin1") : JSON.stringify(pem ?? null);

type Defined<T> = { [K in keyof T]?: Exclude<T[K], undefined> };
const definedOf = <T extends object>(fields: T): Defined<T> =>
  Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as Defined<T>;
