/** The StatefulSet that runs the members. It is never deleted, and what Kubernetes lets nobody change in it never changes. */
import { claimTemplate } from "./claims.ts";
import type { Database, Facts } from "./facts.ts";
import type { EngineFile } from "./engine-file.ts";
import type { KubeObject } from "../cluster/objects.ts";
import { metadataOf, selectorOf, TEMPLATE_HASH_ANNOTATION, TEMPLATE_REVISION_ANNOTATION } from "./metadata.ts";
import { headlessServiceName, statefulSetName } from "./names.ts";
import { mergedTemplate, type JsonObject } from "./overlay.ts";
import { podTemplate, type TemplateInput } from "./pod-template.ts";
import { buildTemplate, type TemplateBuilder } from "./template-revision.ts";

/** Every way to build the pods' template that this release knows, oldest first. */
const templateBuilders: readonly TemplateBuilder<TemplateInput>[] = [
  {
    revision: 1,
    build: (input) =>
      mergedTemplate(
        podTemplate(input) as unknown as JsonObject,
        (input.database.spec.podTemplate ?? {}) as JsonObject,
      ),
  },
];

/** @param engine without problems */
export function statefulSet(database: Database, facts: Facts, image: string, engine: EngineFile): KubeObject {
  const { spec } = database;
  const { revision, hash, template } = buildTemplate(
    templateBuilders,
    { database, image, engine, restart: facts.restart },
    facts.statefulSet,
  );
  return {
    apiVersion: "apps/v1",
    kind: "StatefulSet",
    metadata: metadataOf(database, facts, statefulSetName(database), {
      annotations: { [TEMPLATE_REVISION_ANNOTATION]: String(revision), [TEMPLATE_HASH_ANNOTATION]: hash },
    }),
    spec: {
      replicas: spec.mode === "Stopped" ? 0 : spec.replicas,
      serviceName: headlessServiceName(database),
      selector: { matchLabels: selectorOf(database) },
      // With OrderedReady a member that never becomes ready would keep its repaired template from ever reaching it.
      podManagementPolicy: "Parallel",
      updateStrategy: { type: "RollingUpdate", rollingUpdate: { partition: facts.partition } },
      // Whatever becomes of the StatefulSet, and however many members it has: volumes stay.
      persistentVolumeClaimRetentionPolicy: { whenDeleted: "Retain", whenScaled: "Retain" },
      template,
      volumeClaimTemplates: [claimTemplate(database, facts)],
    },
  };
}
