/** What the operator would make of a file of TimeSeriesDBs, for people to look at: no cluster is asked. */
import { parseAllDocuments, stringify } from "yaml";
import { GROUP, KIND } from "../api/schema.ts";
import type { KubeObject } from "../cluster/objects.ts";
import { readDatabase, unknownFields } from "./database.ts";
import { desired } from "./desired.ts";
import type { Facts } from "./facts.ts";

export type RenderFacts = Pick<Facts, "installation" | "defaultImage" | "operatorNamespace" | "hasServiceMonitors">;

export interface Rendered {
  /** YAML documents; of each resource in the order in which they would be applied. */
  readonly text: string;
  /** Sentences; what has any is left out of the text. */
  readonly problems: readonly string[];
}

/** @param text YAML documents, or JSON */
export function render(text: string, facts: RenderFacts): Rendered {
  const problems: string[] = [];
  const objects: KubeObject[] = [];
  let found = 0;
  for (const [i, document] of parseAllDocuments(text).entries()) {
    const where = `document ${i + 1}`;
    const [mistake] = document.errors;
    if (mistake !== undefined) {
      problems.push(`${where}: ${mistake.message}`);
      continue;
    }
    const resource: unknown = document.toJS({ maxAliasCount: 100 });
    // A file may end with the line that begins another document.
    if (resource === null || resource === undefined || isOfAnotherKind(resource)) continue;
    found++;
    const made = objectsOf(resource, facts);
    objects.push(...made.objects);
    problems.push(...made.problems.map((problem) => `${where}: ${problem}`));
  }
  if (found + problems.length === 0) problems.push(`there is no ${KIND} in it`);
  return { text: objects.map((object) => stringify(object, { lineWidth: 0 })).join("---\n"), problems };
}

/** What a database is applied together with, such as the volume that it is to have. */
const isOfAnotherKind = (resource: unknown): boolean =>
  isFields(resource) &&
  typeof resource["kind"] === "string" &&
  typeof resource["apiVersion"] === "string" &&
  (resource["kind"] !== KIND || !resource["apiVersion"].startsWith(`${GROUP}/`));

interface Made {
  readonly objects: readonly KubeObject[];
  readonly problems: readonly string[];
}

function objectsOf(resource: unknown, facts: RenderFacts): Made {
  const read = readDatabase(inNamespace(resource));
  const unknown = unknownFields(resource);
  if (read.kind === "invalid") return { objects: [], problems: [...read.problems, ...unknown] };
  if (unknown.length > 0) return { objects: [], problems: unknown };
  const made = desired(read.database, {
    ...facts,
    statefulSet: undefined,
    claims: new Map(),
    partition: 0,
    restart: undefined,
  });
  if (made.kind === "invalid") return { objects: [], problems: made.problems };
  return { objects: made.objects.map(withoutOwner), problems: [] };
}

/** As kubectl would send it: in a namespace, and with the uid that it does not have yet. */
function inNamespace(resource: unknown): unknown {
  if (!isFields(resource) || !isFields(resource["metadata"])) return resource;
  return { ...resource, metadata: { namespace: "default", ...resource["metadata"], uid: "" } };
}

const isFields = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === "object" && value !== null && !Array.isArray(value);

/** The owner has no uid yet; objects that name one which is not there would be collected as soon as they are applied. */
function withoutOwner({ apiVersion, kind, metadata, ...rest }: KubeObject) {
  const { ownerReferences: _, ...unowned } = metadata;
  return { apiVersion, kind, metadata: unowned, ...rest };
}
