/** Objects of one kind as they come and go: a list, then a watch, again and again until aborted. For simulations only. */
import { setTimeout as sleep } from "node:timers/promises";
import type { Api, KubeObject, Reference } from "../support/api.ts";

export async function followed(
  api: Api,
  of: Omit<Reference, "name">,
  signal: AbortSignal,
  seen: (type: "ADDED" | "MODIFIED" | "DELETED", object: KubeObject) => void,
): Promise<void> {
  const known = new Map<string, KubeObject>();
  const see = (type: "ADDED" | "MODIFIED" | "DELETED", object: KubeObject) => {
    const uid = String(object.metadata.uid);
    if (type === "DELETED") known.delete(uid);
    else known.set(uid, object);
    seen(type, object);
  };
  while (!signal.aborted) {
    try {
      const list = await api.call("GET", await api.pathOf({ ...of, name: "" }));
      const items = (list["items"] as readonly KubeObject[]).map((item) => ({ ...item, ...kindOf(of) }));
      const present = new Set(items.map(({ metadata }) => metadata.uid));
      for (const object of known.values()) if (!present.has(object.metadata.uid)) see("DELETED", object);
      for (const object of items) see(known.has(String(object.metadata.uid)) ? "MODIFIED" : "ADDED", object);
      const { resourceVersion } = list["metadata"] as { readonly resourceVersion: string };
      for await (const { type, object } of api.watch(of, signal, { resourceVersion })) {
        if (type === "ERROR") break;
        if (type !== "BOOKMARK") see(type, object);
      }
    } catch {
      // The API server may be away for a while: tests make it so.
      await sleep(200, undefined, { signal }).catch(() => {});
    }
  }
}

const kindOf = ({ apiVersion, kind }: Omit<Reference, "name">) => ({ apiVersion, kind });
