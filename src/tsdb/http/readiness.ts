/** What the database's state means to callers: the one table from state to readiness, for probes, writes and queries. */
import { TsdbError } from "../../base/errors.ts";
import type { DatabaseApi, DatabaseState } from "../db.ts";

interface Readiness {
  readonly canRead: boolean;
  readonly canWrite: boolean;
  /** As a sentence, for people. */
  readonly text: (database: DatabaseApi) => string;
}

const states: Readonly<Record<DatabaseState, Readiness>> = {
  starting: { canRead: false, canWrite: false, text: () => "The database is starting" },
  replaying: { canRead: false, canWrite: false, text: replayText },
  writable: { canRead: true, canWrite: true, text: () => "TSDB is ready" },
  "readonly-fault": {
    canRead: true,
    canWrite: false,
    text: () => "The database takes no writes: its disk failed; the log has the error",
  },
  stopping: { canRead: false, canWrite: false, text: () => "The database is stopping" },
  stopped: { canRead: false, canWrite: false, text: () => "The database has stopped" },
};

export const isReady = ({ state }: DatabaseApi): boolean => states[state].canWrite;

export const isStopping = ({ state }: DatabaseApi): boolean => state === "stopping" || state === "stopped";

export const readinessText = (database: DatabaseApi): string => states[database.state].text(database);

/** Why a request cannot be served now; undefined when it can. */
export function notReady(database: DatabaseApi, access: "read" | "write"): TsdbError | undefined {
  const { canRead, canWrite } = states[database.state];
  if (access === "read" ? canRead : canWrite) return undefined;
  return new TsdbError(canRead ? "READ_ONLY" : "NOT_READY", readinessText(database));
}

function replayText({ replay }: DatabaseApi): string {
  const percent = replay.bytesTotal === 0 ? 100 : Math.floor((100 * replay.bytesDone) / replay.bytesTotal);
  return `The database is replaying its write-ahead log: segment ${replay.segmentsDone} of ${replay.segmentsTotal}, ${percent}% of the bytes`;
}
