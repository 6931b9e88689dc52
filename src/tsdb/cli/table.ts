/** Aligned columns for people, and CSV for programs. */

/** Columns two spaces apart; no line ends in blanks. Empty when there are no rows. */
export function table(
  header: readonly string[],
  rows: readonly (readonly string[])[],
  right: readonly boolean[] = [],
): string {
  const widths = header.map((name, i) => Math.max(textWidth(name), ...rows.map((row) => textWidth(row[i] ?? ""))));
  const line = (cells: readonly string[]): string =>
    cells
      .map((cell, i) => {
        const blanks = " ".repeat(widths[i]! - textWidth(cell));
        return right[i] ? blanks + cell : cell + blanks;
      })
      .join("  ")
      .trimEnd();
  return [line(header), ...rows.map(line)].map((text) => `${text}\n`).join("");
}

/** Characters as a terminal counts them, near enough for labels: code points. */
const textWidth = (text: string): number => Array.from(text).length;

/** RFC 4180: quoted where needed, lines end in CR LF. */
export const csv = (header: readonly string[], rows: readonly (readonly string[])[]): string =>
  [header, ...rows].map((row) => `${row.map(csvCell).join(",")}\r\n`).join("");

const csvCell = (cell: string): string => (/[",\r\n]/.test(cell) ? `"${cell.replaceAll('"', '""')}"` : cell);

/** Control characters, which a label value may hold and a terminal would obey, as escapes. */
export const printable = (text: string): string =>
  // oxlint-disable-next-line no-control-regex -- control characters are what it looks for
  text.replace(/[\u0000-\u001f\u007f-\u009f\u2028\u2029\u202a-\u202e\u2066-\u2069]/g, (char) =>
    char === "\n" ? "\\n" : `\\u${char.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
