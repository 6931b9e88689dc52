/**
 * Prometheus' admin API (delete_series, clean_tombstones, snapshot), and what ours adds: merging when asked, a dry run of a
 * deletion, and what blocks there are.
 */
import { TsdbError } from "../../../base/errors.ts";
import { TIME_MAX_MS, TIME_MIN_MS, badRequest, invalidParameter } from "../params.ts";
import { success } from "../route.ts";
import type { Route, RouteContext } from "../route.ts";

const compact = async ({ deps }: RouteContext): Promise<string> => success(await deps.database.admin.compact());

async function deleteSeries({ deps, params, reply }: RouteContext): Promise<string> {
  const selectors = params.values("match[]");
  if (selectors.length === 0) throw badRequest("no match[] parameter provided");
  const mint = params.timeOr("start", TIME_MIN_MS);
  const maxt = params.timeOr("end", TIME_MAX_MS);
  if (maxt < mint) throw badRequest("end timestamp must not be before start timestamp");
  const isDryRun = isTrue(params.value("dry_run"), "dry_run");
  const report = await deps.database.admin.deleteSeries({ selectors, mint, maxt, isDryRun }).catch(inNameOfMatch);
  if (isDryRun) return success(report);
  reply.code(204);
  return "";
}

/** As Prometheus refuses a selector that does not parse. */
function inNameOfMatch(thrown: unknown): never {
  if (thrown instanceof TsdbError && thrown.code === "BAD_QUERY") throw invalidParameter("match[]", thrown.message);
  throw thrown;
}

async function cleanTombstones({ deps, reply }: RouteContext): Promise<string> {
  await deps.database.admin.cleanTombstones();
  reply.code(204);
  return "";
}

async function snapshot({ deps, params }: RouteContext): Promise<string> {
  const { name } = await deps.database.admin.snapshot(isTrue(params.value("skip_head"), "skip_head"));
  return success({ name });
}

/** As Go's strconv.ParseBool reads it, and "" as false. */
function isTrue(text: string, name: string): boolean {
  if (["1", "t", "T", "true", "TRUE", "True"].includes(text)) return true;
  if (["", "0", "f", "F", "false", "FALSE", "False"].includes(text)) return false;
  throw badRequest(`unable to parse boolean "${name}" argument: ${JSON.stringify(text)} is neither true nor false`);
}

/** Prometheus' shape: the meta.json of each block; and beside it what is ours. */
function blocks({ deps: { database } }: RouteContext): string {
  return success({
    blocks: database.admin.blocks.map(({ meta }) => meta),
    sizes: Object.fromEntries(database.admin.blocks.map(({ meta, sizeBytes }) => [meta.ulid, sizeBytes])),
    damaged: Object.fromEntries(
      database.admin.blocks.flatMap(({ meta, damage }) => (damage === undefined ? [] : [[meta.ulid, damage]])),
    ),
    quarantined: database.admin.missing.map(({ ulid, minTime, maxTime, reason }) => ({
      ulid,
      // A range that is not known is all of time, for which JSON has no number.
      minTime: Number.isFinite(minTime) ? minTime : null,
      maxTime: Number.isFinite(maxTime) ? maxTime : null,
      reason,
    })),
  });
}

function maintenance({ deps: { database } }: RouteContext): string {
  const { maintenance: stats } = database.stats();
  return success({
    running: database.admin.jobs,
    jobs: stats.jobs,
    blocks: database.admin.blocks.length,
    blockBytes: stats.blockBytes,
    blocksWithTombstones: stats.blocksWithTombstones,
    quarantined: database.admin.missing.length,
  });
}

const POST: Route["methods"] = ["POST", "PUT"];

export const tsdbAdminRoutes: readonly Route[] = [
  {
    methods: ["POST"],
    path: "/api/v1/admin/compact",
    summary: "Cuts what is complete, merges what there is to merge, answers what it did",
    when: "read",
    handle: compact,
  },
  {
    methods: POST,
    path: "/api/v1/admin/tsdb/delete_series",
    summary: "Deletes samples of series that match, or counts them",
    when: "read",
    handle: deleteSeries,
  },
  {
    methods: POST,
    path: "/api/v1/admin/tsdb/clean_tombstones",
    summary: "Writes blocks anew without what is deleted",
    when: "read",
    handle: cleanTombstones,
  },
  {
    methods: POST,
    path: "/api/v1/admin/tsdb/snapshot",
    summary: "Copies all data to a directory that Prometheus opens",
    when: "read",
    handle: snapshot,
  },
  {
    methods: ["GET"],
    path: "/api/v1/status/tsdb/blocks",
    summary: "Blocks, and those set aside as damaged",
    when: "read",
    handle: blocks,
  },
  {
    methods: ["GET"],
    path: "/api/v1/status/maintenance",
    summary: "Jobs that run, with their progress, and those that ran",
    when: "read",
    handle: maintenance,
  },
];
