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

/** The schema, refused where a rule does not hold, besides those it has. Describe it before: this keeps what was said. */
export function withRules<S extends z.ZodType>(schema: S, ...rules: readonly Rule<z.output<S>>[]): S {
  const checked = schema.superRefine((value, context) => {
    for (const { holds, message } of rules) if (!holds(value)) context.addIssue({ code: "custom", message });
  });
  return checked.meta(withValidations(schema, rules));
}

/** Text of a form. As a rule, and not as a `pattern`, because of what the API server says of these: the bare expression. */
export const spelt = (schema: z.ZodString, pattern: RegExp, message: string): z.ZodString =>
  withRules(schema, { cel: `self.matches(r'${pattern.source}')`, message, holds: (value) => pattern.test(value) });

/** A rule on what a value may become: only the API server knows what was before. */
export interface TransitionRule {
  readonly cel: string;
  readonly message: string;
}

export const withTransitions = <S extends z.ZodType>(schema: S, ...rules: readonly TransitionRule[]): S =>
  schema.meta(withValidations(schema, rules));

function withValidations(schema: z.ZodType, rules: readonly TransitionRule[]): Readonly<Record<string, unknown>> {
  const meta = schema.meta() ?? {};
  const before = (meta[VALIDATIONS] ?? []) as readonly object[];
  return { ...meta, [VALIDATIONS]: [...before, ...rules.map(({ cel, message }) => ({ rule: cel, message }))] };
}
