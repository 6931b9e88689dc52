/**
 * The CustomResourceDefinition, made from the schemas: structural OpenAPI v3 as the API server wants it, with a description
 * on every field for `kubectl explain`. Printed to crds/ by `npm run generate`.
 */
import { z } from "zod";
import { assert } from "../../base/assert.ts";
import { GROUP, KIND, NAME_LENGTH_MAX, NAME_PATTERN, PLURAL, specSchema, VERSION } from "./schema.ts";
import { statusSchema } from "./status.ts";

type JsonSchema = { [key: string]: unknown };

/** What a structural schema may have; anything else would be refused, or worse, ignored. */
const KEPT_KEYS: ReadonlySet<string> = new Set([
  "type",
  "description",
  "properties",
  "required",
  "items",
  "additionalProperties",
  "enum",
  "default",
  "pattern",
  "format",
  "minimum",
  "maximum",
  "minLength",
  "maxLength",
  "minItems",
  "maxItems",
  "maxProperties",
  "x-kubernetes-int-or-string",
  "x-kubernetes-preserve-unknown-fields",
  "x-kubernetes-validations",
  "x-kubernetes-list-type",
  "x-kubernetes-list-map-keys",
]);

/** One schema in the API server's dialect. */
function structural(schema: z.ZodType): JsonSchema {
  return pruned(z.toJSONSchema(schema, { io: "input", unrepresentable: "throw" }) as JsonSchema, "");
}

function pruned(node: JsonSchema, path: string): JsonSchema {
  const result: JsonSchema = {};
  for (const [key, value] of Object.entries(node)) if (KEPT_KEYS.has(key)) result[key] = value;
  if (node["x-kubernetes-int-or-string"] === true) {
    delete result["type"];
    return result;
  }
  assert(typeof node["type"] === "string", `${path} has no type that a CRD knows`);
  if (node["x-kubernetes-preserve-unknown-fields"] === true) {
    delete result["additionalProperties"];
    delete result["properties"];
    return result;
  }
  if (node["properties"] !== undefined) {
    delete result["additionalProperties"];
    result["properties"] = Object.fromEntries(
      Object.entries(node["properties"] as Readonly<Record<string, JsonSchema>>).map(([name, of]) => [
        name,
        pruned(of, `${path}.${name}`),
      ]),
    );
  } else if (typeof node["additionalProperties"] === "object")
    result["additionalProperties"] = pruned(node["additionalProperties"] as JsonSchema, `${path}.*`);
  if (node["items"] !== undefined) result["items"] = pruned(node["items"] as JsonSchema, `${path}[]`);
  // Whole numbers as Kubernetes has them; JSON Schema's own bounds of what a double can hold say nothing.
  if (node["type"] === "integer") {
    result["format"] = "int64";
    if (node["minimum"] === Number.MIN_SAFE_INTEGER) delete result["minimum"];
    if (node["maximum"] === Number.MAX_SAFE_INTEGER) delete result["maximum"];
  }
  return result;
}

const nameRule = {
  rule: `self.metadata.name.size() <= ${NAME_LENGTH_MAX} && self.metadata.name.matches('${NAME_PATTERN.source}')`,
  message: `the name must begin with a letter, consist of lower case letters, digits and "-", and have at most ${NAME_LENGTH_MAX} characters`,
};

const column = (name: string, type: string, jsonPath: string, description: string, priority = 0) => ({
  name,
  type,
  jsonPath,
  description,
  ...(priority === 0 ? {} : { priority }),
});

/** Of a whole resource. */
export const resourceOpenApiSchema = (): object => ({
  type: "object",
  description: "A time-series database that speaks Prometheus' remote write and PromQL.",
  required: ["spec"],
  properties: {
    apiVersion: { type: "string", description: `${GROUP}/${VERSION}` },
    kind: { type: "string", description: KIND },
    metadata: { type: "object" },
    spec: structural(specSchema),
    status: structural(statusSchema),
  },
  "x-kubernetes-validations": [nameRule],
});

/** As it is applied to a cluster. */
export function customResourceDefinition(): object {
  return {
    apiVersion: "apiextensions.k8s.io/v1",
    kind: "CustomResourceDefinition",
    metadata: { name: `${PLURAL}.${GROUP}` },
    spec: {
      group: GROUP,
      scope: "Namespaced",
      names: { kind: KIND, listKind: `${KIND}List`, plural: PLURAL, singular: "timeseriesdb", shortNames: ["tsdb"] },
      versions: [
        {
          name: VERSION,
          served: true,
          storage: true,
          schema: {
            openAPIV3Schema: resourceOpenApiSchema(),
          },
          subresources: {
            status: {},
            scale: {
              specReplicasPath: ".spec.replicas",
              statusReplicasPath: ".status.replicas",
              labelSelectorPath: ".status.selector",
            },
          },
          additionalPrinterColumns: [
            column("Phase", "string", ".status.phase", "What it is doing"),
            column("Ready", "string", '.status.conditions[?(@.type=="Ready")].status', "Whether it serves as asked"),
            column("Replicas", "integer", ".status.replicas", "Members"),
            column("Size", "string", ".spec.storage.size", "Size of each volume"),
            column("Image", "string", ".status.image", "What runs", 1),
            column("Age", "date", ".metadata.creationTimestamp", "Since it was made"),
          ],
        },
      ],
    },
  };
}
