/** What the database's state means to callers, as the table in db/states.ts has it: for probes, writes and queries. */
import { TsdbError } from "../../base/errors.ts";
import type { DatabaseApi } from "../db.ts";
import { meaningOf, type StateMeaning } from "../db/states.ts";

const meaning = ({ state, facts }: DatabaseApi): StateMeaning => meaningOf(state, facts);

export const isReady = (database: DatabaseApi): boolean => meaning(database).canWrite;

/** Whether queries are answered. A database whose disk is full, or that is meant to take no writes, still has answers. */
export const isReadyForQueries = (database: DatabaseApi): boolean => meaning(database).canRead;

export const isStopping = ({ state }: DatabaseApi): boolean => state === "stopping" || state === "stopped";

export const readinessText = (database: DatabaseApi): string => meaning(database).text;

/** Why a request cannot be served now; undefined when it can. */
export function notReady(database: DatabaseApi, access: "read" | "write"): TsdbError | undefined {
  const { canRead, canWrite, text } = meaning(database);
  if (access === "read" ? canRead : canWrite) return undefined;
  return new TsdbError(canRead ? "READ_ONLY" : "NOT_READY", text);
}
