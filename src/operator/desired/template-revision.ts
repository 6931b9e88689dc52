/**
 * Which way the pods' template is built. A new release of the operator may build it better, and must restart nobody for
 * that: it goes on with the old way until what the user asks for changes the pods anyhow.
 */
import { textHash } from "../../tsdb/config.ts";
import type { KubeObject } from "../cluster/objects.ts";
import { TEMPLATE_HASH_ANNOTATION, TEMPLATE_REVISION_ANNOTATION } from "./metadata.ts";

export interface TemplateBuilder<Input> {
  /** Grows from release to release. A builder that was released is never changed, only left out one day. */
  readonly revision: number;
  readonly build: (input: Input) => object;
}

export interface BuiltTemplate {
  readonly revision: number;
  readonly template: object;
  /** Of the template, to see whether the user asks for another one. */
  readonly hash: string;
}

/** @param builders oldest first */
export function buildTemplate<Input>(
  builders: readonly TemplateBuilder<Input>[],
  input: Input,
  live: KubeObject | undefined,
): BuiltTemplate {
  const build = ({ revision, build: of }: TemplateBuilder<Input>): BuiltTemplate => {
    const template = of(input);
    return { revision, template, hash: textHash(canonical(template)) };
  };
  const { [TEMPLATE_REVISION_ANNOTATION]: revision, [TEMPLATE_HASH_ANNOTATION]: hash } =
    live?.metadata.annotations ?? {};
  const inUse = builders.find((builder) => String(builder.revision) === revision);
  const asBefore = inUse && build(inUse);
  return asBefore !== undefined && asBefore.hash === hash ? asBefore : build(builders.at(-1)!);
}

/** JSON with sorted keys: the same for what means the same. */
const canonical = (value: unknown): string =>
  JSON.stringify(value, (_, given: unknown) =>
    typeof given === "object" && given !== null && !Array.isArray(given)
      ? Object.fromEntries(Object.entries(given).sort(([a], [b]) => (a < b ? -1 : 1)))
      : given,
  );
