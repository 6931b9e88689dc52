/** What the server says about itself, in the shapes of Prometheus' status API. */
import { availableParallelism, totalmem } from "node:os";
import { basename } from "node:path";
import { formatDurationMs } from "../../../base/duration.ts";
import { formatSizeBytes } from "../../../base/size.ts";
import type { DatabaseApi, RetentionInForce } from "../../db.ts";
import type { CardinalityStats } from "../../query/protocol.ts";
import { badRequest } from "../params.ts";
import { success } from "../route.ts";
import type { Route, RouteContext } from "../route.ts";
import { readAnswer, runQuery } from "../run-query.ts";

/**
 * The Prometheus whose API this is. Grafana turns features on by this number (match[] for labels from 2.24 on), so it
 * comes first; ours follows as semver's build metadata, which comparisons ignore.
 */
export const PROMETHEUS_API_VERSION = "3.16.0";

function buildInfo({ deps: { build } }: RouteContext): string {
  // No "features" here: Grafana would take the server for Mimir, with a ruler.
  return success({
    version: `${PROMETHEUS_API_VERSION}+tsdb.${build.version}`,
    revision: build.revision,
    branch: "",
    buildUser: "",
    buildDate: "",
    goVersion: build.runtime,
    tsdbVersion: build.version,
  });
}

const flags = ({ deps }: RouteContext): string => success(deps.config.flags());

const configInForce = ({ deps }: RouteContext): string => success({ yaml: deps.config.yaml() });

function runtimeInfo({ deps: { clock, config, database, runtime } }: RouteContext): string {
  const loaded = config.loaded();
  return success({
    startTime: new Date(runtime.startedAtMs).toISOString(),
    CWD: runtime.workingDir,
    hostname: runtime.hostname,
    serverTime: new Date(clock.nowMs()).toISOString(),
    reloadConfigSuccess: loaded.isSuccessful,
    lastConfigTime: new Date(loaded.atMs).toISOString(),
    corruptionCount: database.damage.length,
    goroutineCount: process.getActiveResourcesInfo().length,
    GOMAXPROCS: availableParallelism(),
    GOMEMLIMIT: Math.min(process.constrainedMemory() || Infinity, totalmem()),
    GOGC: "",
    GODEBUG: "",
    storageRetention: retentionText(database.admin.retention),
    walSync: runtime.walSync,
    state: database.state,
  });
}

/** As Prometheus writes it: the limits that there are, with "or" between. */
function retentionText({ settings: { ageMs, sizeBytesMax, volumePercentMax } }: RetentionInForce): string {
  const limits = [formatDurationMs(ageMs)];
  if (sizeBytesMax > 0) limits.push(formatSizeBytes(sizeBytesMax));
  if (volumePercentMax > 0) limits.push(`${volumePercentMax}%`);
  return limits.join(" or ");
}

const CARDINALITY_LIMIT = 10;
const CARDINALITY_LIMIT_MAX = 10_000;

async function tsdb(context: RouteContext): Promise<string> {
  const { deps, params } = context;
  const text = params.value("limit");
  const limit = text === "" ? CARDINALITY_LIMIT : Number(text);
  if (!/^\+?\d*$/.test(text) || limit < 1) throw badRequest("limit must be a positive number");
  if (limit > CARDINALITY_LIMIT_MAX) throw badRequest(`limit must not exceed ${CARDINALITY_LIMIT_MAX}`);
  const answer = await runQuery(context, { kind: "cardinality", limit }, deps.options.query.timeoutMs);
  const stats = JSON.parse((await readAnswer(answer)).toString()) as CardinalityStats;
  const { seriesCount, labelPairCount, chunkCount, minTime = 0, maxTime = 0, ...lists } = stats;
  return success({
    headStats: { numSeries: seriesCount, numLabelPairs: labelPairCount, chunkCount, minTime, maxTime },
    ...lists,
    state: deps.database.state,
    damage: damageOf(deps.database),
  });
}

/** What replay lost. Only the file's name: where the data lies on this machine is nobody's business. */
const damageOf = ({ damage }: DatabaseApi) => damage.map((report) => ({ ...report, file: basename(report.file) }));

function walReplay({ deps: { database } }: RouteContext): string {
  const { replay } = database;
  return success({
    min: 0,
    max: replay.segmentsTotal,
    current: replay.segmentsDone,
    ...replay,
    damage: damageOf(database),
  });
}

export const statusRoutes: readonly Route[] = [
  {
    methods: ["GET"],
    path: "/api/v1/status/buildinfo",
    summary: "Version of the API and of this server",
    when: "always",
    handle: buildInfo,
  },
  { methods: ["GET"], path: "/api/v1/status/flags", summary: "Flags in force", when: "always", handle: flags },
  {
    methods: ["GET"],
    path: "/api/v1/status/config",
    summary: "Configuration in force, as YAML",
    when: "always",
    handle: configInForce,
  },
  {
    methods: ["GET"],
    path: "/api/v1/status/runtimeinfo",
    summary: "Process and storage settings",
    when: "always",
    handle: runtimeInfo,
  },
  {
    methods: ["GET"],
    path: "/api/v1/status/tsdb",
    summary: "Statistics and cardinality of the head; blocks are not counted",
    when: "read",
    handle: tsdb,
  },
  {
    methods: ["GET"],
    path: "/api/v1/status/walreplay",
    summary: "Progress of WAL replay, and damage found",
    when: "always",
    handle: walReplay,
  },
];
