/** How many members may be away at a time when nodes are drained. */
import type { Database, Facts } from "./facts.ts";
import type { KubeObject } from "../cluster/objects.ts";
import { metadataOf, selectorOf } from "./metadata.ts";
import { podDisruptionBudgetName } from "./names.ts";

/** @returns undefined for a single member, whose node could never be drained otherwise */
export const podDisruptionBudget = (database: Database, facts: Facts): KubeObject | undefined =>
  database.spec.replicas < 2
    ? undefined
    : {
        apiVersion: "policy/v1",
        kind: "PodDisruptionBudget",
        metadata: metadataOf(database, facts, podDisruptionBudgetName(database)),
        spec: {
          maxUnavailable: 1,
          selector: { matchLabels: selectorOf(database) },
          // A member that does not serve anyway holds up no drain.
          unhealthyPodEvictionPolicy: "AlwaysAllow",
        },
      };
