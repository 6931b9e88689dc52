/**
 * A TimeSeriesDB as it comes from outside, read through the schema. The API server has checked it by the same rules, but an
 * older CRD may be installed, and files that are only rendered have been checked by nobody.
 */
import { z } from "zod";
import { didYouMean } from "../../base/did-you-mean.ts";
import { resourceOpenApiSchema } from "../api/crd.ts";
import { GROUP, KIND, NAME_LENGTH_MAX, NAME_PATTERN, specSchema, VERSION } from "../api/schema.ts";
import type { Database } from "./facts.ts";

export type ReadDatabase =
  | { readonly kind: "database"; readonly database: Database }
  /** Sentences, each beginning with the field. */
  | { readonly kind: "invalid"; readonly problems: readonly string[] };

const resourceSchema = z.object({
  apiVersion: z.literal(`${GROUP}/${VERSION}`),
  kind: z.literal(KIND),
  metadata: z.object({
    name: z
      .string()
      .max(NAME_LENGTH_MAX)
      .regex(NAME_PATTERN, 'must begin with a letter and consist of lower case letters, digits and "-"'),
    namespace: z.string().min(1),
    uid: z.string(),
  }),
  spec: specSchema,
});

export function readDatabase(object: unknown): ReadDatabase {
  const read = resourceSchema.safeParse(withoutNulls(object, openApiSchema));
  if (!read.success) return { kind: "invalid", problems: read.error.issues.map(problemText) };
  const { metadata, spec } = read.data;
  return { kind: "database", database: { ...metadata, spec } };
}

/** As far as null goes. */
interface Schema {
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly additionalProperties?: Schema;
  readonly items?: Schema;
}

const openApiSchema: Schema = resourceOpenApiSchema();

/** Drops what the API server drops: where a schema speaks of a field, null is as good as nothing. */
function withoutNulls(value: unknown, { properties, additionalProperties, items }: Schema): unknown {
  if (Array.isArray(value)) return items ? value.map((item) => withoutNulls(item, items)) : value;
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).flatMap(([name, inner]: [string, unknown]) => {
      const schema = properties && Object.hasOwn(properties, name) ? properties[name] : additionalProperties;
      if (schema === undefined) return [[name, inner]];
      return inner === null ? [] : [[name, withoutNulls(inner, schema)]];
    }),
  );
}

/**
 * Fields that no TimeSeriesDB has. The API server drops them, with a warning by kubectl; where there is none, nobody else
 * tells of a word that was misspelt.
 */
export const unknownFields = (object: unknown): readonly string[] => unknownIn(object, openApiSchema, "");

function unknownIn(value: unknown, schema: Schema, path: string): readonly string[] {
  if (Array.isArray(value))
    return value.flatMap((item, i) => (schema.items ? unknownIn(item, schema.items, `${path}[${i}]`) : []));
  if (typeof value !== "object" || value === null) return [];
  const { properties, additionalProperties } = schema;
  return Object.entries(value).flatMap(([name, inner]: [string, unknown]) => {
    const at = path === "" ? name : `${path}.${name}`;
    if (properties && Object.hasOwn(properties, name)) return unknownIn(inner, properties[name]!, at);
    if (additionalProperties !== undefined) return unknownIn(inner, additionalProperties, at);
    if (properties === undefined) return [];
    const guess = didYouMean(name, Object.keys(properties));
    return [`${at}: there is no such field${guess === undefined ? "" : `; did you mean ${guess}?`}`];
  });
}

function problemText({ path, message }: z.core.$ZodIssue): string {
  const field = path.map((part, i) =>
    typeof part === "number" ? `[${part}]` : `${i === 0 ? "" : "."}${String(part)}`,
  );
  return `${field.join("")}: ${message}`;
}
