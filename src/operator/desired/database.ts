/**
 * A TimeSeriesDB as it comes from outside, read through the schema. The API server has checked it by the same rules, but an
 * older CRD may be installed, and files that are only rendered have been checked by nobody.
 */
import { z } from "zod";
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
  const read = resourceSchema.safeParse(object);
  if (!read.success) return { kind: "invalid", problems: read.error.issues.map(problemText) };
  const { metadata, spec } = read.data;
  return { kind: "database", database: { ...metadata, spec } };
}

function problemText({ path, message }: z.core.$ZodIssue): string {
  const field = path.map((part, i) =>
    typeof part === "number" ? `[${part}]` : `${i === 0 ? "" : "."}${String(part)}`,
  );
  return `${field.join("")}: ${message}`;
}
