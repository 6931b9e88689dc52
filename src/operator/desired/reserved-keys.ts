/** Labels and annotations of the user's that would stand in the place of the operator's. */
import type { Database } from "./facts.ts";
import { labelsOf, RESERVED_PREFIX } from "./metadata.ts";

/** @returns sentences, each beginning with the field */
export function reservedKeyProblems(database: Database): readonly string[] {
  const { service, serviceAccount, monitoring } = database.spec;
  const ours = labelsOf(database);
  const given = {
    "spec.service.annotations": service?.annotations,
    "spec.serviceAccount.annotations": serviceAccount?.annotations,
    "spec.monitoring.labels": monitoring?.labels,
  };
  return Object.entries(given).flatMap(([field, keys]) =>
    Object.keys(keys ?? {})
      .filter((key) => key.startsWith(RESERVED_PREFIX) || Object.hasOwn(ours, key))
      .map((key) => `${field}[${key}] is the operator's; remove it`),
  );
}
