/**
 * The probe listeners of pods that nothing runs in: each pod's address answers /-/state as an engine would that has read its
 * ConfigMap a moment ago. A test may say what else they answer.
 */
import { createServer } from "node:http";
import type { Server } from "node:http";
import { textHash } from "../../../src/tsdb/config.ts";
import { field } from "../support/api.ts";
import type { Api, Json, KubeObject } from "../support/api.ts";
import { followed } from "./follow.ts";

const PROBE_PORT = 8081;

interface Engine {
  readonly pod: KubeObject;
  readonly server: Server;
}

export class EngineListeners {
  /** What a pod's engine says, made from what it would say; undefined: it hangs up. */
  answer: (pod: KubeObject, state: Json) => Json | undefined = (_, state) => state;
  /** How often any was asked. */
  asked = 0;
  readonly #engines = new Map<string, Engine>();
  readonly #files = new Map<string, string>();
  readonly #ended = new AbortController();
  readonly #following: Promise<void>;

  constructor(api: Api, namespace: string | undefined) {
    const of = { apiVersion: "v1", kind: "ConfigMap", ...(namespace === undefined ? {} : { namespace }) };
    this.#following = followed(api, of, this.#ended.signal, (type, { metadata, ...object }) => {
      const key = `${metadata.namespace}/${metadata.name}`;
      const text = (object["data"] as Readonly<Record<string, string>> | undefined)?.["tsdb.yaml"];
      if (type === "DELETED" || text === undefined) this.#files.delete(key);
      else this.#files.set(key, text);
    });
  }

  async add(uid: string, address: string, pod: KubeObject): Promise<void> {
    const server = createServer((request, response) => {
      this.asked += 1;
      const state = request.url === "/-/state" ? this.answer(pod, this.#state(pod)) : undefined;
      if (state === undefined) return void response.destroy();
      response.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify(state));
    });
    await new Promise<void>((resolve, reject) => {
      server.once("error", reject).listen(PROBE_PORT, address, resolve);
    });
    this.#engines.set(uid, { pod, server });
  }

  remove(uid: string): void {
    const server = this.#engines.get(uid)?.server;
    this.#engines.delete(uid);
    server?.close();
    server?.closeAllConnections();
  }

  async close(): Promise<void> {
    this.#ended.abort();
    await this.#following;
    for (const uid of this.#engines.keys()) this.remove(uid);
  }

  #state(pod: KubeObject): Json {
    const volumes = (field(pod, "spec.volumes") ?? []) as readonly object[];
    const names = volumes.flatMap((volume) => (field(volume, "configMap.name") as string | undefined) ?? []);
    const text = names
      .map((name) => this.#files.get(`${pod.metadata.namespace}/${name}`))
      .find((one) => one !== undefined);
    return {
      state: "writable",
      reason: "ready",
      replay: { done: true },
      engineVersion: "simulated",
      formatVersion: 1,
      configHash: text === undefined ? "" : textHash(text),
      configFileHash: text === undefined ? undefined : textHash(text),
    };
  }
}
