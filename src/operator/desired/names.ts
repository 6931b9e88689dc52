/** What things are called, and where they are: names of objects, ports, paths. Others rely on them, so none changes. */
import type { Database } from "./facts.ts";

/** The container that the database runs in, its volume and its configuration. */
export const CONTAINER = "tsdb";
export const DATA_VOLUME = "data";
export const CONFIG_VOLUME = "config";

export const DATA_MOUNT = "/data";
/** Not the mount itself: a new file system has a lost+found of its own. */
export const DATA_DIR = `${DATA_MOUNT}/tsdb`;
export const CONFIG_MOUNT = "/etc/tsdb";
export const CONFIG_FILE = "tsdb.yaml";

export const HTTP_PORT = 8080;
export const PROBE_PORT = 8081;

/** A user and a group that are nobody's on any node, as images without a root have them. */
export const USER_ID = 65_532;

type Named = Pick<Database, "name">;

export const statefulSetName = ({ name }: Named): string => name;
export const serviceName = ({ name }: Named): string => name;
export const headlessServiceName = ({ name }: Named): string => `${name}-headless`;
export const configMapName = ({ name }: Named): string => `${name}-config`;
export const serviceAccountName = ({ name }: Named): string => name;
export const networkPolicyName = ({ name }: Named): string => name;
export const podDisruptionBudgetName = ({ name }: Named): string => name;
export const serviceMonitorName = ({ name }: Named): string => name;
export const podName = ({ name }: Named, ordinal: number): string => `${name}-${ordinal}`;
/** As a StatefulSet names the claims that it makes of its template. */
export const claimName = (database: Named, ordinal: number): string => `${DATA_VOLUME}-${podName(database, ordinal)}`;

/** Where clients within the cluster find the database. */
export const baseUrl = ({ name, namespace }: Pick<Database, "name" | "namespace">): string =>
  `http://${name}.${namespace}.svc:${HTTP_PORT}`;
