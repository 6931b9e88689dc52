/**
 * Rules beyond types, said once for both who check them: CEL for the API server, a function for us. Their agreement is
 * tested on thousands of generated specs.
 */
import type { z } from "zod";

export interface Rule<T> {
  /** CEL over `self`. */
  readonly cel: string;
  /** What a user who broke it should do, as a sentence. */
  readonly message: string;
  readonly holds: (value: T) => boolean;
}

/** The key under which a schema carries what CRDs alone know. */
export const VALIDATIONS = "x-kubernetes-validations";

/** The schema, refused where a rule does not hold. Describe it before: this keeps what was said about it. */
export function withRules<S extends z.ZodType>(schema: S, ...rules: readonly Rule<z.output<S>>[]): S {
  const checked = schema.superRefine((value, context) => {
    for (const { holds, message } of rules) if (!holds(value)) context.addIssue({ code: "custom", message });
  });
  const validations = rules.map(({ cel, message }) => ({ rule: cel, message }));
  return checked.meta({ ...schema.meta(), [VALIDATIONS]: validations });
}

/** A rule on what a value may become: only the API server knows what was before. */
export interface TransitionRule {
  readonly cel: string;
  readonly message: string;
}

export function withTransitions<S extends z.ZodType>(schema: S, ...rules: readonly TransitionRule[]): S {
  const meta = schema.meta() ?? {};
  const before = (meta[VALIDATIONS] ?? []) as readonly object[];
  return schema.meta({
    ...meta,
    [VALIDATIONS]: [...before, ...rules.map(({ cel, message }) => ({ rule: cel, message }))],
  });
}
