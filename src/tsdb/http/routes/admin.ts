/** What an operator asks of a running database: whether it takes writes, and how much it keeps. */
import { TsdbError } from "../../../base/errors.ts";
import { readinessText } from "../readiness.ts";
import { retentionChangeOf, retentionFields } from "../retention-body.ts";
import { bodyText, success } from "../route.ts";
import type { Route, RouteContext } from "../route.ts";

/** The state may be another than the one asked for: a full disk is full whatever one says. */
const stateNow = ({ deps: { database } }: RouteContext): string =>
  success({ state: database.state, reason: readinessText(database) });

async function readOnly(context: RouteContext): Promise<string> {
  if (context.deps.config.isManaged()) throw managed(["storage.read_only"]);
  await context.deps.database.admin.setReadOnly(true);
  return stateNow(context);
}

async function writable(context: RouteContext): Promise<string> {
  // What was made read-only by hand before the server was managed may be taken back by hand.
  const { config, database } = context.deps;
  if (config.isManaged() && database.facts.obstacles.isConfigured) throw managed(["storage.read_only"]);
  await context.deps.database.admin.setReadOnly(false);
  return stateNow(context);
}

/** Values as the configuration has them, each with its origin. */
function retention({ deps: { database, config } }: RouteContext): string {
  const { settings, overridden } = database.admin.retention;
  const values: Record<string, string | number> = {};
  const origin: Record<string, string> = {};
  for (const { key, name, format } of retentionFields) {
    values[name] = format(settings[key]);
    origin[name] = overridden[key] ? "api" : config.origin(`storage.${name}`);
  }
  return success({ ...values, origin });
}

async function setRetention(context: RouteContext): Promise<string> {
  const { deps, request, params } = context;
  const change = retentionChangeOf(bodyText(request), params);
  if (deps.config.isManaged())
    throw managed(retentionFields.filter(({ key }) => Object.hasOwn(change, key)).map(({ name }) => `storage.${name}`));
  await deps.database.admin.setRetention(change);
  return retention(context);
}

function managed(keys: readonly string[]): TsdbError {
  return new TsdbError("MANAGED", "This server's settings come from its configuration file alone (managed: true)", {
    remedy: `Set ${keys.join(" and ")} there: the file is read again when it changes`,
  });
}

export const adminRoutes: readonly Route[] = [
  {
    methods: ["POST"],
    path: "/api/v1/admin/readonly",
    summary: "Takes no writes from now on, restarts included",
    when: "read",
    handle: readOnly,
  },
  {
    methods: ["POST"],
    path: "/api/v1/admin/writable",
    summary: "Takes writes again",
    when: "read",
    handle: writable,
  },
  {
    methods: ["GET"],
    path: "/api/v1/admin/retention",
    summary: "How much is kept, and where that was said",
    when: "read",
    handle: retention,
  },
  {
    methods: ["POST"],
    path: "/api/v1/admin/retention",
    summary: "Sets how much is kept, at once and over restarts",
    when: "read",
    body: "json",
    handle: setRetention,
  },
];
