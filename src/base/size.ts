/**
 * Sizes in bytes as users write them. Units are powers of 1024 whether written the short way (`256MB`, as the operations
 * guide has it: 268,435,456 bytes) or the exact way (`256MiB`); a bare number is bytes.
 */
const unitBytes: Readonly<Record<string, number>> = {
  "": 1,
  b: 1,
  k: 2 ** 10,
  kb: 2 ** 10,
  kib: 2 ** 10,
  m: 2 ** 20,
  mb: 2 ** 20,
  mib: 2 ** 20,
  g: 2 ** 30,
  gb: 2 ** 30,
  gib: 2 ** 30,
  t: 2 ** 40,
  tb: 2 ** 40,
  tib: 2 ** 40,
};

/** Bytes of `256MB`, `1.5GiB`, `268435456`; undefined when it is no size, or no whole number of bytes. */
export function parseSizeBytes(text: string): number | undefined {
  const match = /^(\d+(?:\.\d+)?)\s*([a-z]*)$/i.exec(text.trim());
  const factor = match && Object.hasOwn(unitBytes, match[2]!.toLowerCase()) && unitBytes[match[2]!.toLowerCase()];
  if (!factor) return undefined;
  const bytes = Number(match[1]) * factor;
  return Number.isSafeInteger(bytes) ? bytes : undefined;
}

const printed = [
  ["TiB", 2 ** 40],
  ["GiB", 2 ** 30],
  ["MiB", 2 ** 20],
  ["KiB", 2 ** 10],
] as const;

/** The size in the largest unit that divides it, so that parseSizeBytes gives back the same number: `256MiB`, `1000`. */
export function formatSizeBytes(bytes: number): string {
  for (const [unit, factor] of printed) if (bytes > 0 && bytes % factor === 0) return `${bytes / factor}${unit}`;
  return String(bytes);
}
