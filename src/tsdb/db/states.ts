/**
 * The states of a database, and the one table of what they mean: whether it reads, whether it writes, and what people are
 * told. Probes, writes, queries and metrics all read this table.
 *
 *   starting ──▶ replaying ──▶ writable ◀──▶ readonly-manual   until it is told otherwise, restarts included; or as configured
 *                                       ◀──▶ readonly-disk     while less than the reserve is free; leaves by itself
 *                                       ◀──▶ readonly-fault    while the disk refuses the log; leaves by itself
 *   any ──▶ stopping ──▶ stopped
 *
 * Several causes may hold at once: the gravest is the state, the text names them all. Refused writes are always 503: the
 * sender keeps them and comes again.
 */
import { formatSizeBytes } from "../../base/size.ts";
import type { ReplayProgress } from "./replay.ts";

export const databaseStates = [
  "starting",
  "replaying",
  "writable",
  "readonly-manual",
  "readonly-disk",
  "readonly-fault",
  "stopping",
  "stopped",
] as const;
export type DatabaseState = (typeof databaseStates)[number];

export type Phase = "starting" | "replaying" | "open" | "stopping" | "stopped";

/** What keeps an open database from taking writes. */
export interface WriteObstacles {
  readonly isFaulty: boolean;
  readonly isDiskFull: boolean;
  readonly isManual: boolean;
  readonly isConfigured: boolean;
}

/** What the texts speak of. */
export interface StateFacts {
  readonly replay: ReplayProgress;
  readonly obstacles: WriteObstacles;
  readonly disk: DiskStatus | undefined;
}

/** The volume of the data directory, as it was when it was last looked at. */
export interface DiskStatus {
  readonly totalBytes: number;
  readonly freeBytes: number;
  /** With less than this free no writes are taken. */
  readonly reserveBytes: number;
}

export interface StateMeaning {
  readonly canRead: boolean;
  readonly canWrite: boolean;
  /** As a sentence without its full stop, for people. */
  readonly text: string;
}

export function stateOf(phase: Phase, { isFaulty, isDiskFull, isManual, isConfigured }: WriteObstacles): DatabaseState {
  if (phase !== "open") return phase;
  if (isFaulty) return "readonly-fault";
  if (isDiskFull) return "readonly-disk";
  return isManual || isConfigured ? "readonly-manual" : "writable";
}

interface Row {
  readonly canRead: boolean;
  readonly canWrite: boolean;
  readonly text: (facts: StateFacts) => string;
}

const table: Readonly<Record<DatabaseState, Row>> = {
  starting: { canRead: false, canWrite: false, text: () => "The database is starting" },
  replaying: { canRead: false, canWrite: false, text: replayText },
  writable: { canRead: true, canWrite: true, text: () => "TSDB is ready" },
  "readonly-manual": { canRead: true, canWrite: false, text: readOnlyText },
  "readonly-disk": { canRead: true, canWrite: false, text: readOnlyText },
  "readonly-fault": { canRead: true, canWrite: false, text: readOnlyText },
  stopping: { canRead: false, canWrite: false, text: () => "The database is stopping" },
  stopped: { canRead: false, canWrite: false, text: () => "The database has stopped" },
};

export function meaningOf(state: DatabaseState, facts: StateFacts): StateMeaning {
  const { canRead, canWrite, text } = table[state];
  return { canRead, canWrite, text: text(facts) };
}

function replayText({ replay }: StateFacts): string {
  const percent = replay.bytesTotal === 0 ? 100 : Math.floor((100 * replay.bytesDone) / replay.bytesTotal);
  return `The database is replaying its write-ahead log: segment ${replay.segmentsDone} of ${replay.segmentsTotal}, ${percent}% of the bytes`;
}

function readOnlyText({ obstacles, disk }: StateFacts): string {
  const { isFaulty, isDiskFull, isManual, isConfigured } = obstacles;
  const causes: string[] = [];
  if (isFaulty) causes.push("its disk failed; the log has the error");
  if (isDiskFull) causes.push(diskText(disk));
  if (isConfigured) causes.push("its configuration says so (storage.read_only)");
  if (isManual) causes.push("it was made read-only; POST /api/v1/admin/writable ends that");
  return `The database takes no writes: ${causes.join("; and ")}`;
}

const diskText = (disk: DiskStatus | undefined): string =>
  disk === undefined || disk.freeBytes >= disk.reserveBytes
    ? "its disk is full; it goes on by itself once there is space"
    : `its disk is nearly full, ${megabytes(disk.freeBytes)} are free and ${megabytes(disk.reserveBytes)} are kept in ` +
      "reserve (storage.disk_reserve); it goes on by itself once there is space";

const MiB = 1024 * 1024;
const megabytes = (bytes: number): string => formatSizeBytes(bytes < MiB ? bytes : Math.floor(bytes / MiB) * MiB);
