/**
 * Durations as users write them: Prometheus' notation (`30d`, `1h30m`, `500ms`, a bare `0`), units from large to small, each
 * at most once. A day is 24 hours, a week 7 days, a year 365 days.
 * @see prometheus/common model.ParseDuration
 */
const units = [
  ["y", 31_536_000_000],
  ["w", 604_800_000],
  ["d", 86_400_000],
  ["h", 3_600_000],
  ["m", 60_000],
  ["s", 1000],
  ["ms", 1],
] as const;

const NOTATION = new RegExp(`^${units.map(([unit]) => `(?:(\\d+)${unit})?`).join("")}$`);

/** Prometheus counts in nanoseconds of 64 bits: some 292 years. */
export const DURATION_MS_MAX = 9_223_372_036_854;

/** Milliseconds of `720h`, `1d12h`, `500ms`, `0`; undefined when it is no duration, or longer than DURATION_MS_MAX. */
export function parseDurationMs(text: string): number | undefined {
  if (text === "0") return 0;
  const counts = text === "" ? null : NOTATION.exec(text);
  if (!counts) return undefined;
  const ms = units.reduce((sum, [, unitMs], i) => sum + Number(counts[i + 1] ?? 0) * unitMs, 0);
  return ms <= DURATION_MS_MAX ? ms : undefined;
}

/**
 * The duration such that parseDurationMs gives back the same number: `30d`, `1h30m`, `0s`. As Prometheus prints it, in years
 * or weeks only when nothing is left over: `1w`, but `8d`.
 * @param ms whole and not negative
 */
export function formatDurationMs(ms: number): string {
  if (ms === 0) return "0s";
  let rest = ms;
  let text = "";
  for (const [unit, unitMs] of units) {
    if ((unit === "y" || unit === "w") && ms % unitMs !== 0) continue;
    const count = Math.floor(rest / unitMs);
    if (count > 0) text += `${count}${unit}`;
    rest %= unitMs;
  }
  return text;
}
