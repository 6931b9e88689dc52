/**
 * The CustomResourceDefinition of ServiceMonitor as the Prometheus operator ships it, from its Go module, of which nothing is
 * built.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { parse } from "yaml";
import type { KubeObject } from "./api.ts";
import { run } from "./run.ts";

const MODULE = "github.com/prometheus-operator/prometheus-operator@v0.85.0";
/** Of the module's contents, as a go.sum would say it. */
const SUM = "h1:M5xLCLEoaW2IJfnuCwFzzpL+jSVQu3KGT84Pye+fW8s=";
const FILE = "example/prometheus-operator-crd/monitoring.coreos.com_servicemonitors.yaml";

export function serviceMonitorCrd(): KubeObject {
  const { Dir, Sum } = JSON.parse(run("go", ["mod", "download", "-json", MODULE])) as { Dir: string; Sum: string };
  if (Sum !== SUM) throw new Error(`${MODULE} is not what it was: ${Sum} instead of ${SUM}`);
  return parse(readFileSync(join(Dir, FILE), "utf8")) as KubeObject;
}
