/** The engine's configuration file, as the pods mount it. */
import type { Database, Facts } from "./facts.ts";
import type { EngineFile } from "./engine-file.ts";
import type { KubeObject } from "../cluster/objects.ts";
import { metadataOf } from "./metadata.ts";
import { CONFIG_FILE, configMapName } from "./names.ts";

export const configMap = (database: Database, facts: Facts, { text }: EngineFile): KubeObject => ({
  apiVersion: "v1",
  kind: "ConfigMap",
  metadata: metadataOf(database, facts, configMapName(database)),
  data: { [CONFIG_FILE]: text },
});
