/** Times and durations as options of commands. */
import { parseDurationMs } from "../../base/duration.ts";
import { CommandError, exitCodes } from "./exit.ts";

/** @throws CommandError usage, naming the option */
export function parseDuration(text: string, option: string): number {
  const ms = /^\d+(\.\d+)?$/.test(text) ? Number(text) * 1000 : parseDurationMs(text);
  if (ms !== undefined && ms >= 1) return ms;
  throw new CommandError(
    exitCodes.usage,
    `${option} is ${JSON.stringify(text)}: expected a duration such as 1h, 30s or 1h30m`,
  );
}

/** @returns ms since the epoch */
export function parseTime(text: string, option: string, nowMs: number): number {
  const relative = /^now(?:-(.+))?$/.exec(text);
  if (relative) return relative[1] === undefined ? nowMs : nowMs - parseDuration(relative[1], option);
  if (/^-?\d+(\.\d+)?$/.test(text)) return Math.round(Number(text) * 1000);
  const ms = /^\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:\d\d)$/.test(text) ? Date.parse(text) : NaN;
  if (!Number.isNaN(ms)) return ms;
  throw new CommandError(
    exitCodes.usage,
    `${option} is ${JSON.stringify(text)}: expected 2026-01-31T12:00:00Z, seconds since 1970, now, or now-1h`,
  );
}
