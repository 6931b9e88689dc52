/**
 * The tests' own way to the API server: raw JSON over node:https, with what a kubeconfig says. It shares nothing with the
 * operator's client but the library that reads kubeconfigs, so that neither hides the other's mistakes.
 */
import { Agent, request } from "node:https";
import type { RequestOptions } from "node:https";
import { createInterface } from "node:readline";
import type { IncomingMessage, OutgoingHttpHeaders } from "node:http";
import { KubeConfig } from "@kubernetes/client-node";
import { until } from "../../support/until.ts";
import type { UntilOptions } from "../../support/until.ts";

/** Any JSON object, as it is on the wire. */
export type Json = Readonly<Record<string, unknown>>;

/** Any object of Kubernetes. What lies deeper is read by `field`. */
export interface KubeObject extends Json {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: {
    readonly name: string;
    readonly namespace?: string;
    readonly uid?: string;
    readonly resourceVersion?: string;
    readonly generation?: number;
    readonly labels?: Readonly<Record<string, string>>;
    readonly annotations?: Readonly<Record<string, string>>;
    readonly ownerReferences?: readonly Json[];
    readonly managedFields?: readonly Json[];
    readonly deletionTimestamp?: string;
    readonly creationTimestamp?: string;
    readonly finalizers?: readonly string[];
  };
}

/** What lies at a path such as `spec.template.spec.containers.0.image`; undefined when there is nothing. */
export function field(object: unknown, path: string): unknown {
  let value = object;
  for (const step of path.split(".")) value = (value as Json | null | undefined)?.[step];
  return value;
}

/** A condition of any object that has conditions. */
export const condition = (object: unknown, type: string): Json | undefined =>
  (field(object, "status.conditions") as readonly Json[] | undefined)?.find((one) => one["type"] === type);

export interface Answer {
  readonly status: number;
  readonly body: Json;
  readonly headers: IncomingMessage["headers"];
}

/** An answer that is no success. */
export class ApiError extends Error {
  override readonly name = "ApiError";
  readonly status: number;
  /** The Status object that the API server sent. */
  readonly body: Json;

  constructor(what: string, { status, body }: Answer) {
    super(`${what}: ${status} ${JSON.stringify(body["message"] ?? body)}`);
    this.status = status;
    this.body = body;
  }

  get reason(): string {
    return String(this.body["reason"]);
  }
}

/** Which object: its kind as discovery knows it. */
export interface Reference {
  readonly apiVersion: string;
  readonly kind: string;
  readonly name: string;
  readonly namespace?: string;
}

export interface WatchEvent {
  readonly type: "ADDED" | "MODIFIED" | "DELETED" | "BOOKMARK" | "ERROR";
  readonly object: KubeObject;
}

const MERGE_PATCH = "application/merge-patch+json";
const APPLY_PATCH = "application/apply-patch+yaml";

export class Api {
  readonly #url: string;
  readonly #options: RequestOptions;
  readonly #agent: Agent;
  readonly #resources = new Map<string, Promise<Json>>();

  private constructor(url: string, options: RequestOptions) {
    this.#url = url;
    this.#agent = new Agent({ keepAlive: true });
    this.#options = options;
  }

  static async fromKubeconfig(path: string): Promise<Api> {
    const config = new KubeConfig();
    config.loadFromFile(path);
    const options: RequestOptions = {};
    await config.applyToHTTPSOptions(options);
    const url = config.getCurrentCluster()?.server;
    if (url === undefined) throw new Error(`${path} names no cluster`);
    return new Api(url, options);
  }

  /** The answer, whatever its status. A body that is not JSON is given as `{message}`. */
  async request(method: string, path: string, body?: unknown, contentType = "application/json"): Promise<Answer> {
    const text = body === undefined ? undefined : JSON.stringify(body);
    const response = await this.#send(method, path, text, contentType);
    const chunks: Buffer[] = [];
    for await (const chunk of response) chunks.push(chunk as Buffer);
    const raw = Buffer.concat(chunks).toString("utf8");
    return { status: response.statusCode ?? 0, headers: response.headers, body: parsed(raw) };
  }

  /** @throws ApiError unless the answer is a success */
  async call(method: string, path: string, body?: unknown, contentType?: string): Promise<Json> {
    const answer = await this.request(method, path, body, contentType);
    if (answer.status < 200 || answer.status > 299) throw new ApiError(`${method} ${path}`, answer);
    return answer.body;
  }

  async get(reference: Reference): Promise<KubeObject> {
    return (await this.call("GET", await this.pathOf(reference))) as KubeObject;
  }

  /** Undefined when there is none. */
  async find(reference: Reference): Promise<KubeObject | undefined> {
    const { status, body } = await this.request("GET", await this.pathOf(reference));
    if (status === 404) return undefined;
    if (status !== 200) throw new ApiError(`GET ${reference.kind} ${reference.name}`, { status, body, headers: {} });
    return body as KubeObject;
  }

  async list(apiVersion: string, kind: string, namespace?: string, query = ""): Promise<readonly KubeObject[]> {
    const path = await this.pathOf({ apiVersion, kind, name: "", ...(namespace === undefined ? {} : { namespace }) });
    const { items } = await this.call("GET", `${path}${query === "" ? "" : `?${query}`}`);
    return (items as readonly KubeObject[]).map((item) => ({ ...item, apiVersion, kind }));
  }

  async create(object: KubeObject): Promise<KubeObject> {
    const { namespace } = object.metadata;
    const path = await this.pathOf({ ...object, name: "", ...(namespace === undefined ? {} : { namespace }) });
    return (await this.call("POST", path, object)) as KubeObject;
  }

  /** Server-side apply as `manager`, taking fields from others. */
  async apply(object: KubeObject, manager = "e2e"): Promise<KubeObject> {
    const path = `${await this.pathOf(referenceTo(object))}?fieldManager=${manager}&force=true`;
    return (await this.call("PATCH", path, object, APPLY_PATCH)) as KubeObject;
  }

  /** A JSON merge patch, as `kubectl edit` and `kubectl patch` would send it. */
  async patch(reference: Reference, patch: Json, subresource = ""): Promise<KubeObject> {
    const path = `${await this.pathOf(reference)}${subresource === "" ? "" : `/${subresource}`}`;
    return (await this.call("PATCH", `${path}?fieldManager=kubectl-edit`, patch, MERGE_PATCH)) as KubeObject;
  }

  async delete(reference: Reference, options: Json = {}): Promise<void> {
    const path = await this.pathOf(reference);
    const answer = await this.request("DELETE", path, { kind: "DeleteOptions", apiVersion: "v1", ...options });
    if (answer.status > 299 && answer.status !== 404) throw new ApiError(`DELETE ${path}`, answer);
  }

  /** Waits until the object is there and `probe` is true of it. */
  async waitFor(
    reference: Reference,
    what: string,
    probe: (object: KubeObject) => boolean,
    options?: UntilOptions,
  ): Promise<KubeObject> {
    let last: KubeObject | undefined;
    const asked = async () => {
      last = await this.find(reference);
      return last !== undefined && probe(last) ? last : undefined;
    };
    try {
      return await until(`${reference.kind} ${reference.name}: ${what}`, asked, { everyMs: 200, ...options });
    } catch (thrown) {
      throw new Error(`${String(thrown)}\n${JSON.stringify(withoutManagedFields(last), undefined, 1)}`, {
        cause: thrown,
      });
    }
  }

  /** Waits until the object is gone. */
  async waitForAbsence(reference: Reference, options?: UntilOptions): Promise<void> {
    const asked = async () => ((await this.find(reference)) === undefined ? true : undefined);
    await until(`${reference.kind} ${reference.name} to be gone`, asked, { everyMs: 200, ...options });
  }

  /** Events of one kind from now on, or from a version on, until aborted or the server ends the watch. */
  async *watch(
    of: Omit<Reference, "name">,
    signal: AbortSignal,
    query: Readonly<Record<string, string>> = {},
  ): AsyncGenerator<WatchEvent> {
    const path = await this.pathOf({ ...of, name: "" });
    const parameters = new URLSearchParams({ watch: "true", ...query });
    const response = await this.#send("GET", `${path}?${parameters.toString()}`, undefined, "", signal);
    if (response.statusCode !== 200) throw new Error(`watch of ${path}: ${response.statusCode}`);
    try {
      for await (const line of createInterface({ input: response, crlfDelay: Infinity }))
        if (line !== "") yield JSON.parse(line) as WatchEvent;
    } catch (thrown) {
      if (!signal.aborted) throw thrown;
    } finally {
      response.destroy();
    }
  }

  /** The path of an object, or of its collection when the name is empty. */
  async pathOf({ apiVersion, kind, name, namespace }: Reference): Promise<string> {
    const base = apiVersion.includes("/") ? `/apis/${apiVersion}` : `/api/${apiVersion}`;
    const { plural, namespaced } = await this.#resource(base, kind);
    const scope = namespaced && namespace !== undefined ? `/namespaces/${namespace}` : "";
    return `${base}${scope}/${plural}${name === "" ? "" : `/${name}`}`;
  }

  async #resource(base: string, kind: string): Promise<{ plural: string; namespaced: boolean }> {
    const known = this.#resources.get(base) ?? this.call("GET", base);
    this.#resources.set(base, known);
    const find = ({ resources }: Json) =>
      (resources as readonly Json[]).find((one) => one["kind"] === kind && !String(one["name"]).includes("/"));
    let found: Json | undefined;
    try {
      found = find(await known);
    } finally {
      // A CRD may be served a moment later: what was not found is asked for anew.
      if (found === undefined) this.#resources.delete(base);
    }
    if (found === undefined) throw new Error(`the cluster knows no ${kind} at ${base}`);
    return { plural: String(found["name"]), namespaced: Boolean(found["namespaced"]) };
  }

  #send(method: string, path: string, text: string | undefined, contentType: string, signal?: AbortSignal) {
    return new Promise<IncomingMessage>((resolve, reject) => {
      const headers = {
        accept: "application/json",
        "user-agent": "tsdb-e2e",
        ...(this.#options.headers as OutgoingHttpHeaders | undefined),
        ...(text === undefined ? {} : { "content-type": contentType, "content-length": Buffer.byteLength(text) }),
      };
      const options = {
        ...this.#options,
        agent: this.#agent,
        method,
        headers,
        ...(signal === undefined ? {} : { signal }),
      };
      const asked = request(`${this.#url}${path}`, options, (response) => resolve(heard(response)));
      asked.on("error", reject);
      asked.end(text);
    });
  }

  close(): void {
    this.#agent.destroy();
  }
}

/** Whoever reads a response hears of its error; one that nobody reads any more may end as it likes. */
function heard(response: IncomingMessage): IncomingMessage {
  return response.on("error", () => {});
}

function parsed(raw: string): Json {
  try {
    const value: unknown = JSON.parse(raw);
    if (typeof value === "object" && value !== null) return value as Json;
  } catch {
    // Text, such as a log.
  }
  return { message: raw };
}

const withoutManagedFields = (object: KubeObject | undefined): Json | undefined =>
  object === undefined ? undefined : { ...object, metadata: { ...object.metadata, managedFields: undefined } };

/** What an object is called, for the calls that take a name. */
export const referenceTo = ({ apiVersion, kind, metadata: { name, namespace } }: KubeObject): Reference => ({
  apiVersion,
  kind,
  name,
  ...(namespace === undefined ? {} : { namespace }),
});
