/**
 * What a `spec.podTemplate` may not say: what the operator decides, what another field of the spec is for, and what would
 * give whoever may write a TimeSeriesDB more of a node than pods have by default.
 */
import { posix } from "node:path";
import type { Database } from "./facts.ts";
import { labelsOf, RESERVED_PREFIX } from "./metadata.ts";
import { CONFIG_MOUNT, CONFIG_VOLUME, CONTAINER, DATA_MOUNT, DATA_VOLUME } from "./names.ts";
import { isObject, podLists, type Json, type JsonObject, type KeyedLists } from "./overlay.ts";

const ROOT = "spec.podTemplate";

/** @returns sentences, each beginning with the field; none when the template may be merged */
export function overlayProblems(database: Database): readonly string[] {
  const overlay = database.spec.podTemplate as JsonObject | undefined;
  if (overlay === undefined) return [];
  const problems: string[] = [];
  const refuse = (path: string, what: string): void => void problems.push(`${ROOT}.${path} ${what}`);
  for (const key of Object.keys(overlay))
    if (key !== "metadata" && key !== "spec") refuse(key, "is no part of a pod template; remove it");
  checkMetadata(database, overlay["metadata"], refuse);
  const { spec } = overlay;
  if (spec === undefined || spec === null) return problems;
  if (!isObject(spec)) return [...problems, `${ROOT}.spec must have the fields of a pod's spec`];
  checkShape(spec, "spec", podLists, refuse);
  // What has not the shape of a pod cannot be looked at any further.
  if (problems.length === 0) checkSpec(database, spec, refuse);
  return problems;
}

type Refuse = (path: string, what: string) => void;

function checkMetadata(database: Database, metadata: Json | undefined, refuse: Refuse): void {
  if (metadata === undefined || metadata === null) return;
  if (!isObject(metadata)) return refuse("metadata", "must have labels or annotations");
  const ours = labelsOf(database);
  for (const [key, value] of Object.entries(metadata)) {
    if (key !== "labels" && key !== "annotations") refuse(`metadata.${key}`, "is the operator's; remove it");
    else if (value !== null && !isObject(value)) refuse(`metadata.${key}`, "must be keys with values");
    else
      for (const name of Object.keys(value ?? {}))
        if (name.startsWith(RESERVED_PREFIX) || (key === "labels" && Object.hasOwn(ours, name)))
          refuse(`metadata.${key}[${name}]`, "is the operator's; remove it");
  }
}

/** Lists that are merged must be lists of things with keys; nothing else is looked at here, the API server does it. */
function checkShape(value: JsonObject, path: string, lists: KeyedLists, refuse: Refuse): void {
  for (const [name, { key, items }] of lists) {
    const list = value[name];
    const at = `${path}.${name}`;
    if (list === undefined || list === null) continue;
    if (!Array.isArray(list)) {
      refuse(at, `must be a list of things with a ${key}`);
      continue;
    }
    const seen = new Set<Json>();
    for (const [i, item] of (list as readonly Json[]).entries()) {
      const id = isObject(item) ? item[key] : undefined;
      if (!isObject(item) || typeof id !== "string" || id === "") refuse(`${at}[${i}]`, `needs a ${key}`);
      else if (seen.has(id)) refuse(`${at}[${id}]`, "is there twice; keep one of them");
      else checkShape(item, `${at}[${id}]`, items, refuse);
      if (id !== undefined) seen.add(id);
    }
  }
}

/** Fields of a pod's spec, with what to do instead. */
const refusedFields: Readonly<Record<string, string>> = {
  serviceAccountName: "is the operator's; annotate the account with spec.serviceAccount.annotations",
  serviceAccount: "is the operator's; annotate the account with spec.serviceAccount.annotations",
  automountServiceAccountToken: "is the operator's: the account has no rights; remove it",
  enableServiceLinks: "is the operator's: such variables would be read as settings; remove it",
  hostNetwork: "is refused: the pods stay off the node's own network; remove it",
  hostPID: "is refused: the pods stay apart from the node's processes; remove it",
  hostIPC: "is refused: the pods stay apart from the node's processes; remove it",
  restartPolicy: "is the operator's; remove it",
  hostname: "is the StatefulSet's; remove it",
  subdomain: "is the StatefulSet's; remove it",
};

/** Fields of the database's container. */
const refusedOfDatabase: Readonly<Record<string, string>> = {
  image: "is said by spec.image",
  resources: "are said by spec.resources",
  command: "is the operator's; settings are said by spec.config",
  args: "are the operator's; settings are said by spec.config",
  ports: "are the operator's; remove them",
  envFrom: "is refused, because it might set TSDB_ variables, which are settings; name the variables in env",
};

function checkSpec(database: Database, spec: JsonObject, refuse: Refuse): void {
  for (const [field, what] of Object.entries(refusedFields))
    if (Object.hasOwn(spec, field)) refuse(`spec.${field}`, what);
  checkRights(spec, "spec", refuse);
  checkVolumes(database, spec, refuse);
  for (const list of ["containers", "initContainers"]) {
    if (spec[list] === null) refuse(`spec.${list}`, "may be added to and not be taken away");
    for (const container of listOf(spec[list])) {
      const at = `spec.${list}[${textOf(container["name"])}]`;
      checkRights(container, at, refuse);
      const isDatabase = list === "containers" && container["name"] === CONTAINER;
      if (isDatabase) checkDatabaseContainer(container, at, refuse);
      else
        for (const mount of [...listOf(container["volumeMounts"]), ...listOf(container["volumeDevices"])])
          if (mount["name"] === DATA_VOLUME)
            refuse(`${at}.volumeMounts[${textOf(mount["mountPath"])}]`, "is refused: the data is the database's alone");
    }
  }
}

function checkVolumes({ name }: Database, spec: JsonObject, refuse: Refuse): void {
  if (spec["volumes"] === null) refuse("spec.volumes", "may be added to and not be taken away");
  for (const volume of listOf(spec["volumes"])) {
    const at = `spec.volumes[${textOf(volume["name"])}]`;
    const claim = isObject(volume["persistentVolumeClaim"]) ? volume["persistentVolumeClaim"]["claimName"] : undefined;
    const isMembers = typeof claim === "string" && claim.replace(/-[0-9]+$/, "") === `${DATA_VOLUME}-${name}`;
    if (volume["name"] === DATA_VOLUME)
      refuse(at, "is the database's data; its size and class are said by spec.storage");
    else if (volume["name"] === CONFIG_VOLUME) refuse(at, "is the engine's file; settings are said by spec.config");
    else if (isMembers) refuse(at, "is refused: the data is the database's alone");
    if (Object.hasOwn(volume, "hostPath")) refuse(`${at}.hostPath`, "is refused: the pods stay off the node's files");
  }
}

function checkDatabaseContainer(container: JsonObject, at: string, refuse: Refuse): void {
  for (const [field, what] of Object.entries(refusedOfDatabase))
    if (Object.hasOwn(container, field)) refuse(`${at}.${field}`, what);
  if (container["volumeMounts"] === null) refuse(`${at}.volumeMounts`, "may be added to and not be taken away");
  for (const mount of listOf(container["volumeMounts"])) {
    const path = textOf(mount["mountPath"]);
    const inside = [DATA_MOUNT, CONFIG_MOUNT].find((ours) => isWithin(path, ours) || isWithin(ours, path));
    if (inside !== undefined) refuse(`${at}.volumeMounts[${path}]`, `is refused: ${inside} is the operator's`);
    else if (mount["name"] === DATA_VOLUME)
      refuse(`${at}.volumeMounts[${path}]`, `is refused: the data is mounted at ${DATA_MOUNT}`);
  }
  for (const { name } of listOf(container["env"]))
    if (textOf(name).startsWith("TSDB_"))
      refuse(`${at}.env[${textOf(name)}]`, "is refused: it would outdo the configuration; use spec.config");
}

/** As Pod Security's `baseline` has it: the operator must not hand out what its user could not have. */
function checkRights(container: JsonObject, at: string, refuse: Refuse): void {
  const context = isObject(container["securityContext"]) ? container["securityContext"] : {};
  const capabilities = isObject(context["capabilities"]) ? context["capabilities"] : {};
  const refused = "is refused: pods get no more rights than they have by default";
  if (context["privileged"] === true) refuse(`${at}.securityContext.privileged`, refused);
  if (Object.hasOwn(context, "procMount")) refuse(`${at}.securityContext.procMount`, refused);
  if (Object.hasOwn(context, "windowsOptions")) refuse(`${at}.securityContext.windowsOptions`, refused);
  if (Object.hasOwn(capabilities, "add")) refuse(`${at}.securityContext.capabilities.add`, refused);
  for (const port of listOf(container["ports"]))
    if (Object.hasOwn(port, "hostPort")) refuse(`${at}.ports[${textOf(port["containerPort"])}].hostPort`, refused);
}

const textOf = (value: Json | undefined): string => (typeof value === "string" ? value : JSON.stringify(value ?? ""));

const listOf = (value: Json | undefined): readonly JsonObject[] =>
  Array.isArray(value) ? (value as readonly Json[]).filter(isObject) : [];

/** Whether a path is the other one, or below it. */
const isWithin = (path: string, other: string): boolean => {
  const between = posix.relative(posix.resolve("/", other), posix.resolve("/", path));
  return between !== ".." && !between.startsWith("../");
};
