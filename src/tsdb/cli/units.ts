/** Sizes, counts and times as commands print them for people. */

const sizes = [
  ["TiB", 2 ** 40],
  ["GiB", 2 ** 30],
  ["MiB", 2 ** 20],
  ["KiB", 2 ** 10],
] as const;

/** `17 B`, `1.5 MiB`: rounded, unlike what base/size.ts prints. */
export function bytesText(bytes: number): string {
  for (const [unit, factor] of sizes) if (bytes >= factor) return `${(bytes / factor).toFixed(1)} ${unit}`;
  return `${bytes} B`;
}

/** Thousands apart: `1,234,567`. */
export const countText = (count: number): string => String(count).replace(/\B(?=(\d{3})+$)/g, ",");

/** `1 sample`, `1,000 samples`. */
export const countOf = (count: number, noun: string): string =>
  `${countText(count)} ${count === 1 || noun.endsWith("series") ? noun : `${noun}s`}`;

const DATE_MS_MAX = 8.64e15;

/** RFC 3339 in UTC, without ms where there are none; a time that no date can be is shown as it is. */
export const timeText = (timeMs: number): string =>
  Math.abs(timeMs) <= DATE_MS_MAX ? new Date(timeMs).toISOString().replace(".000Z", "Z") : `${timeMs} ms`;
