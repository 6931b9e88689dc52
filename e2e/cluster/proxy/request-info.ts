/** What a request asks of the API server, in RBAC's words: as the API server itself reads paths. */

export type Verb = "get" | "list" | "watch" | "create" | "update" | "patch" | "delete" | "deletecollection" | "other";

export interface RequestInfo {
  readonly verb: Verb;
  /** Whether it may change something. */
  readonly isWrite: boolean;
  /** "" for the core group. */
  readonly group: string;
  /** Plural, such as "statefulsets"; "" for what is no resource: discovery, health. */
  readonly resource: string;
  /** Such as "status"; "" for the object itself. */
  readonly subresource: string;
  readonly namespace: string;
  readonly name: string;
}

const VERBS: Readonly<Record<string, Verb>> = {
  POST: "create",
  PUT: "update",
  PATCH: "patch",
  GET: "get",
  DELETE: "delete",
};

export function requestInfo(method: string, url: string): RequestInfo {
  const { pathname, searchParams } = new URL(url, "https://cluster");
  const parts = pathname.split("/").filter((part) => part !== "");
  const place = placeOf(parts);
  const onCollection = place.resource !== "" && place.name === "";
  let verb: Verb = place.resource === "" ? "other" : (VERBS[method] ?? "other");
  if (verb === "get" && ["true", "1"].includes(searchParams.get("watch") ?? "")) verb = "watch";
  else if (verb === "get" && onCollection) verb = "list";
  else if (verb === "delete" && onCollection) verb = "deletecollection";
  return { ...place, verb, isWrite: !["get", "list", "watch", "other"].includes(verb) };
}

/** /api/v1/... or /apis/GROUP/VERSION/..., then optionally namespaces/NAME, then resource, name and subresource. */
function placeOf(parts: readonly string[]): Omit<RequestInfo, "verb" | "isWrite"> {
  const isCore = parts[0] === "api";
  if (!isCore && parts[0] !== "apis") return NO_PLACE;
  const group = isCore ? "" : (parts[1] ?? "");
  const rest = parts.slice(isCore ? 2 : 3).map((part) => decodeURIComponent(part));
  if (rest.length === 0) return NO_PLACE;
  // A namespace is a resource itself unless something of it is asked for; status and finalize are its own.
  if (rest[0] === "namespaces" && rest.length > 2 && rest[2] !== "status" && rest[2] !== "finalize") {
    const [, namespace = "", resource = "", name = "", subresource = ""] = rest;
    return { group, resource, subresource, namespace, name };
  }
  const [resource = "", name = "", subresource = ""] = rest;
  return { group, resource, subresource, namespace: resource === "namespaces" ? name : "", name };
}

const NO_PLACE = { group: "", resource: "", subresource: "", namespace: "", name: "" };
