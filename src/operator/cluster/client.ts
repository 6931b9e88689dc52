/**
 * The operator's client of the API server. What it sends is what it was given, byte for byte as JSON has it; what it gives
 * back is what it received. Writes are server-side applies under one field manager, so that what others set stays theirs.
 *
 * It refuses what must never happen, whoever asks: deleting anything but the few kinds that hold nothing, and applying an
 * object with a status or with fields that only the server may set.
 */
import { assert } from "../../base/assert.ts";
import { ClusterError } from "./errors.ts";
import { RESOURCES, apiVersionOf, keyOf, keyText, typeOf } from "./objects.ts";
import type { KubeObject, ObjectKey, ResourceType } from "./objects.ts";
import { FIELD_MANAGER } from "./owned-fields.ts";
import { Transport, badAnswer } from "./transport.ts";
import type { ApiRequest, TransportOptions, Verb } from "./transport.ts";
import { watchEvents } from "./watch-stream.ts";
import type { WatchEvent } from "./watch-stream.ts";

/** How long any call may take, its retries included. */
export const CALL_MS_MAX = 30_000;

/** All that may ever be deleted: they hold no data, and are deleted when the spec does not want them any more. */
const DELETABLE: ReadonlySet<ResourceType> = new Set([
  RESOURCES.networkPolicy,
  RESOURCES.podDisruptionBudget,
  RESOURCES.serviceMonitor,
]);

export interface CallOptions {
  readonly signal?: AbortSignal | undefined;
  /** At most, and by default, `CALL_MS_MAX`. */
  readonly timeoutMs?: number;
}

export interface ListOptions extends CallOptions {
  /** All namespaces when absent. */
  readonly namespace?: string | undefined;
  readonly labelSelector?: string | undefined;
  readonly limit?: number;
  /** Of the page before. */
  readonly continueToken?: string | undefined;
}

export interface ListPage {
  readonly items: readonly KubeObject[];
  /** Of the whole list; to watch from. */
  readonly resourceVersion: string;
  /** Undefined on the last page. */
  readonly continueToken: string | undefined;
}

export interface WatchOptions {
  readonly namespace?: string | undefined;
  readonly labelSelector?: string | undefined;
  readonly resourceVersion: string;
  /** After which the server ends the watch by itself. */
  readonly timeoutSeconds: number;
}

export interface DeleteOptions extends CallOptions {
  /** Only this very object, and no later one of its name. */
  readonly uid: string;
  /** Only as it was read. */
  readonly resourceVersion?: string | undefined;
}

export class ClusterClient {
  readonly #transport: Transport;
  readonly #mayWrite: () => boolean;

  constructor(options: TransportOptions) {
    this.#mayWrite = options.mayWrite;
    this.#transport = new Transport(options);
  }

  /** Whether writes are sent: to be asked before work whose writes would be refused. */
  get mayWrite(): boolean {
    return this.#mayWrite();
  }

  /** @returns undefined when there is none */
  async get(type: ResourceType, key: ObjectKey, options: CallOptions = {}): Promise<KubeObject | undefined> {
    const request = requestOf("get", `read ${nameOf(type, key)}`, type, key.namespace, key.name, options);
    try {
      return objectOf(request, await this.#transport.call(request));
    } catch (error) {
      if (error instanceof ClusterError && error.isNotFound) return undefined;
      throw error;
    }
  }

  /** One page of a list; all in one when there is no limit. */
  async list(type: ResourceType, options: ListOptions): Promise<ListPage> {
    const { namespace = "", labelSelector, limit, continueToken } = options;
    const request: ApiRequest = {
      ...requestOf(
        "list",
        `list ${type.plural}${namespace === "" ? "" : ` in ${namespace}`}`,
        type,
        namespace,
        "",
        options,
      ),
      query: { labelSelector, limit, continue: continueToken },
    };
    const list = (await this.#transport.call(request)) as {
      readonly metadata?: { readonly resourceVersion?: unknown; readonly continue?: unknown };
      readonly items?: unknown;
    };
    const resourceVersion = list.metadata?.resourceVersion;
    const next = list.metadata?.continue;
    if (typeof resourceVersion !== "string" || (list.items !== null && !Array.isArray(list.items)))
      throw badAnswer(request.action, "what the API server answered is no list");
    return {
      // Go's empty list may be a null.
      items: (list.items ?? []).map((item: unknown) => objectOf(request, item as object, type)),
      resourceVersion,
      continueToken: typeof next === "string" && next !== "" ? next : undefined,
    };
  }

  /**
   * What happens from a version on, until the server ends the watch, the signal does, or something breaks. Ends without an
   * error only when the server ended it.
   * @throws ClusterError, of which `isGone` says that the version is too old
   */
  async *watch(type: ResourceType, options: WatchOptions, signal: AbortSignal): AsyncGenerator<WatchEvent, void> {
    const { namespace = "", labelSelector, resourceVersion, timeoutSeconds } = options;
    const request: ApiRequest = {
      ...requestOf(
        "watch",
        `watch ${type.plural}${namespace === "" ? "" : ` in ${namespace}`}`,
        type,
        namespace,
        "",
        {},
      ),
      query: { watch: true, allowWatchBookmarks: true, labelSelector, resourceVersion, timeoutSeconds },
    };
    using chunks = await this.#transport.open(request, signal);
    yield* watchEvents(request.action, type, chunks);
  }

  /**
   * Makes the object's fields so, and removes those that an earlier apply had set and this one has not; creates it if need be.
   * With `metadata.uid` only that very object is changed.
   * @returns the object as it is now
   */
  async apply(object: KubeObject, options: CallOptions = {}): Promise<KubeObject> {
    assert(!("status" in object), `a status is applied by applyStatus: ${object.kind} ${object.metadata.name}`);
    return this.#apply(object, "", options);
  }

  /** As `apply`, of the status alone; an object that is not there is not created. */
  async applyStatus(object: KubeObject, options: CallOptions = {}): Promise<KubeObject> {
    return this.#apply(object, "status", options);
  }

  /** For what is made once under a name of its own: events, and the first lease. */
  async create(object: KubeObject, options: CallOptions = {}): Promise<KubeObject> {
    const { type, key } = targetOf(object);
    const request: ApiRequest = {
      ...requestOf("create", `create ${nameOf(type, key)}`, type, key.namespace, "", options),
      query: { ...WRITE_QUERY, ...serverLimit(options) },
      body: object,
    };
    return objectOf(request, await this.#transport.call(request));
  }

  /** Replaces the lease that was read, if nobody else has since. */
  async update(object: KubeObject, options: CallOptions = {}): Promise<KubeObject> {
    const { type, key } = targetOf(object);
    assert(type === RESOURCES.lease, `only leases are replaced, not ${type.plural}`);
    assert(object.metadata.resourceVersion !== undefined, "a lease is replaced only as it was read");
    const request: ApiRequest = {
      ...requestOf("update", `update ${nameOf(type, key)}`, type, key.namespace, key.name, options),
      query: { ...WRITE_QUERY, ...serverLimit(options) },
      body: object,
    };
    return objectOf(request, await this.#transport.call(request));
  }

  /** Adds to an event that happens again. */
  async mergeEvent(key: ObjectKey, patch: object, options: CallOptions = {}): Promise<KubeObject> {
    const type = RESOURCES.event;
    const request: ApiRequest = {
      ...requestOf("patch", `update ${nameOf(type, key)}`, type, key.namespace, key.name, options),
      query: { ...WRITE_QUERY, ...serverLimit(options) },
      body: patch,
      contentType: "application/merge-patch+json",
    };
    return objectOf(request, await this.#transport.call(request));
  }

  /** Deletes one that is not wanted any more; what is gone already is fine. Never anything that holds data. */
  async delete(type: ResourceType, key: ObjectKey, options: DeleteOptions): Promise<void> {
    assert(DELETABLE.has(type), `the operator never deletes ${type.plural}`);
    const { uid, resourceVersion } = options;
    const request: ApiRequest = {
      ...requestOf("delete", `delete ${nameOf(type, key)}`, type, key.namespace, key.name, options),
      query: serverLimit(options),
      body: {
        apiVersion: "v1",
        kind: "DeleteOptions",
        preconditions: { uid, ...(resourceVersion === undefined ? {} : { resourceVersion }) },
        propagationPolicy: "Background",
      },
    };
    try {
      await this.#transport.call(request);
    } catch (error) {
      if (!(error instanceof ClusterError && error.isNotFound)) throw error;
    }
  }

  async #apply(object: KubeObject, subresource: "" | "status", options: CallOptions): Promise<KubeObject> {
    const { type, key } = targetOf(object);
    const { metadata } = object;
    // The API server refuses the first; the others would make an apply depend on what happened to be read last.
    for (const field of ["managedFields", "resourceVersion", "generation", "creationTimestamp"] as const)
      assert(metadata[field] === undefined, `${field} is not ours to apply: ${nameOf(type, key)}`);
    const what = subresource === "" ? "" : "the status of ";
    const request: ApiRequest = {
      ...requestOf("patch", `apply ${what}${nameOf(type, key)}`, type, key.namespace, key.name, options, subresource),
      query: { ...WRITE_QUERY, force: true, ...serverLimit(options) },
      body: object,
      contentType: "application/apply-patch+yaml",
    };
    return objectOf(request, await this.#transport.call(request));
  }
}

const WRITE_QUERY = { fieldManager: FIELD_MANAGER, fieldValidation: "Strict" } as const;

/** The server is to give a write up when we do, or a slow one would be done long after another leads. */
const serverLimit = ({ timeoutMs = CALL_MS_MAX }: CallOptions): { readonly timeout: string } => ({
  timeout: `${Math.ceil(timeoutMs / 1000)}s`,
});

function requestOf(
  verb: Verb,
  action: string,
  type: ResourceType,
  namespace: string,
  name: string,
  { signal, timeoutMs = CALL_MS_MAX }: CallOptions,
  subresource = "",
): ApiRequest {
  const isWrite = verb !== "get" && verb !== "list" && verb !== "watch";
  return {
    action,
    verb,
    resource: subresource === "" ? type.plural : `${type.plural}/${subresource}`,
    path: [
      groupPath(type),
      ...(namespace === "" ? [] : ["namespaces", encodeURIComponent(namespace)]),
      type.plural,
      ...(name === "" ? [] : [encodeURIComponent(name)]),
      ...(subresource === "" ? [] : [subresource]),
    ].join("/"),
    // A second create may find the first one's object; everything else comes to the same.
    isIdempotent: verb !== "create",
    // The lease is how one comes to lead.
    isGuarded: isWrite && type !== RESOURCES.lease,
    timeoutMs: Math.min(timeoutMs, CALL_MS_MAX),
    signal,
  };
}

const groupPath = (type: ResourceType): string =>
  type.group === "" ? `/api/${type.version}` : `/apis/${apiVersionOf(type)}`;

const nameOf = (type: ResourceType, key: ObjectKey): string => `${type.kind} ${keyText(key)}`;

function targetOf(object: KubeObject): { readonly type: ResourceType; readonly key: ObjectKey } {
  const type = typeOf(object);
  const key = keyOf(object);
  assert(key.name !== "", `a ${type.kind} without a name`);
  assert(type.isNamespaced === (key.namespace !== ""), `${nameOf(type, key)} is in no namespace, or in one`);
  return { type, key };
}

/** @param type of an item of a list, which does not say what it is */
function objectOf({ action }: ApiRequest, answer: object | null, type?: ResourceType): KubeObject {
  const object = answer as { -readonly [field in keyof KubeObject]?: KubeObject[field] } | null;
  if (typeof object?.metadata?.name !== "string") throw badAnswer(action, "what the API server answered is no object");
  if (type !== undefined) {
    object.apiVersion ??= apiVersionOf(type);
    object.kind ??= type.kind;
  }
  return object as KubeObject;
}
