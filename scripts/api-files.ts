/** What is printed of the API: the CustomResourceDefinition, and its reference page. */
import { stringify } from "yaml";
import { customResourceDefinition } from "../src/operator/api/crd.ts";
import { GROUP, KIND, PLURAL, VERSION } from "../src/operator/api/schema.ts";

/** Path from the repository's root to text. */
export const apiFiles = (): ReadonlyMap<string, string> =>
  new Map([
    [
      `crds/${PLURAL}.${GROUP}.yaml`,
      `# Made by \`npm run generate\` from src/operator/api: change it there.\n${stringify(customResourceDefinition(), { lineWidth: 0 })}`,
    ],
    ["docs/reference/timeseriesdb.md", reference()],
  ]);

interface Schema {
  readonly type?: string;
  readonly description?: string;
  readonly default?: string | number | boolean;
  readonly enum?: readonly string[];
  readonly minimum?: number;
  readonly maximum?: number;
  readonly maxItems?: number;
  readonly required?: readonly string[];
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly items?: Schema;
  readonly additionalProperties?: Schema;
  readonly "x-kubernetes-int-or-string"?: boolean;
  readonly "x-kubernetes-preserve-unknown-fields"?: boolean;
  readonly "x-kubernetes-validations"?: readonly { readonly rule: string; readonly message: string }[];
}

function reference(): string {
  const definition = customResourceDefinition() as {
    readonly spec: { readonly versions: readonly [{ readonly schema: { readonly openAPIV3Schema: Schema } }] };
  };
  const root = definition.spec.versions[0].schema.openAPIV3Schema;
  const { spec, status } = root.properties!;
  return `<!-- Made by \`npm run generate\` from the code: change it there. -->
# TimeSeriesDB

\`${GROUP}/${VERSION}\`, kind \`${KIND}\`, short name \`tsdb\`, namespaced. \`kubectl explain timeseriesdb.spec --recursive\` says the
same. Absent means default; an empty text is refused everywhere but in \`storage.className\`. ${sentence(root)}

## Spec

| Field | Type | Default | Meaning |
|---|---|---|---|
${rows(spec!, "").join("\n")}

What else is refused, by the API server and with these words:

${rules(root, "").join("\n")}

## podTemplate

\`spec.podTemplate\` has the form of a pod template (\`metadata\` with labels and annotations, \`spec\`) and is merged over the
operator's own. Containers, init containers, volumes and variables are merged by name, mounts by path; other lists are
replaced, objects are merged field by field, and \`null\` takes away what would be there. The database's container is
called \`tsdb\`. Refused, with the field and what to do instead in the condition \`Reconciled\`:

- what the operator decides: its labels and \`${GROUP}/\` keys, the container's command, arguments and ports, the volumes
  \`data\` and \`config\` and mounts at, above or below their paths, the service account, \`enableServiceLinks\`, \`restartPolicy\`;
- what has a field of its own: the container's image (\`spec.image\`) and resources (\`spec.resources\`);
- what would outdo the configuration: variables that begin with \`TSDB_\`, and \`envFrom\`;
- what would reach the data past the database: the volume \`data\`, or its claim, in another container;
- what would give more of the node than pods have: host namespaces, ports and paths, \`privileged\`, added capabilities.

A change of it rolls the pods.

## Status

| Field | Type | Meaning |
|---|---|---|
${statusRows(status!, "").join("\n")}

Types and reasons of conditions: [conditions.md](conditions.md).
`;
}

const cell = (text: string): string => text.replaceAll("|", "\\|");
const sentence = ({ description = "" }: Schema): string =>
  cell(description.endsWith(".") ? description : `${description}.`);

function typeOf(schema: Schema): string {
  if (schema["x-kubernetes-int-or-string"]) return "number or quantity";
  if (schema.enum) return schema.enum.map((value) => `\`${value}\``).join(", ");
  if (schema.items) return `list of ${schema.items.properties ? "objects" : typeOf(schema.items)}`;
  if (schema.additionalProperties) return `map to ${typeOf(schema.additionalProperties)}`;
  if (schema.type === "integer") {
    const { minimum, maximum } = schema;
    return minimum === undefined
      ? "integer"
      : maximum === undefined
        ? `integer from ${minimum}`
        : `${minimum} to ${maximum}`;
  }
  return schema.type!;
}

function rows({ properties = {}, required = [] }: Schema, path: string): string[] {
  return Object.entries(properties).flatMap(([name, schema]) => {
    const at = `${path}${name}`;
    const standard =
      schema.default === undefined ? (required.includes(name) ? "required" : "") : `\`${String(schema.default)}\``;
    const inner = schema.properties ? rows(schema, `${at}.`) : schema.items ? rows(schema.items, `${at}[].`) : [];
    return [`| \`${at}\` | ${typeOf(schema)} | ${standard} | ${sentence(schema)} |`, ...inner];
  });
}

function statusRows({ properties = {} }: Schema, path: string): string[] {
  return Object.entries(properties).flatMap(([name, schema]) => {
    const at = `${path}${name}`;
    const inner = schema.properties
      ? statusRows(schema, `${at}.`)
      : schema.items
        ? statusRows(schema.items, `${at}[].`)
        : [];
    return [`| \`${at}\` | ${typeOf(schema)} | ${sentence(schema)} |`, ...inner];
  });
}

function rules(schema: Schema, path: string): string[] {
  const own = (schema["x-kubernetes-validations"] ?? []).map(
    ({ message }) => `- ${path === "" ? "" : `\`${path}\`: `}${message}`,
  );
  const below = Object.entries(schema.properties ?? {}).flatMap(([name, of]) =>
    rules(of, path === "" ? name : `${path}.${name}`),
  );
  return [...own, ...below];
}
