/**
 * The kinds of value a setting can have. One notation everywhere: a flag, a variable, the file and a default are written
 * alike, and what `format` prints can be read back. YAML may also give a number or a boolean where that is natural.
 */
import { z } from "zod";
import { formatDurationMs, parseDurationMs } from "../../base/duration.ts";
import { formatSizeBytes, parseSizeBytes } from "../../base/size.ts";

export interface Kind<T> {
  /** Stands for the value in help: `--listen=ADDR`. */
  readonly placeholder: string;
  /** What is allowed, as it ends the sentence "expected ...". */
  readonly expected: string;
  /** Reads the text of a flag or variable, or the scalar of a file. */
  readonly schema: z.ZodType<T>;
  /** Whether "" is a value; where it is not, an empty variable counts as unset, because compose files leave such. */
  readonly acceptsEmpty: boolean;
  format(value: T): string;
}

const scalar = z.union([z.string(), z.number(), z.boolean()]);

/** A kind from a function that reads its text and answers undefined when it cannot. */
function kind<T>(
  placeholder: string,
  expected: string,
  parse: (text: string) => T | undefined,
  format: (value: T) => string = String,
): Kind<T> {
  const schema = scalar.transform((given, context): T => {
    const value = parse(String(given));
    if (value !== undefined) return value;
    context.addIssue({ code: "custom", message: `expected ${expected}` });
    return z.NEVER;
  });
  return { placeholder, expected, schema, format, acceptsEmpty: false };
}

/** `:8080` (all interfaces), `127.0.0.1:8080`, `[::1]:8080`, `localhost:8080`. */
export interface ListenAddress {
  /** Empty: all interfaces. IPv6 without brackets. */
  readonly host: string;
  /** 0 lets the system choose. */
  readonly port: number;
}

export function parseListenAddress(text: string): ListenAddress | undefined {
  const match = /^(?:\[([0-9a-fA-F:.]+(?:%\w+)?)\]|([^:[\]\s/]*)):(\d{1,5})$/.exec(text);
  if (!match) return undefined;
  const port = Number(match[3]);
  return port <= 65535 ? { host: match[1] ?? match[2] ?? "", port } : undefined;
}

export const formatListenAddress = ({ host, port }: ListenAddress): string =>
  `${host.includes(":") ? `[${host}]` : host}:${port}`;

const addressExample = "an address such as :8080, 127.0.0.1:8080 or [::1]:8080";
export const listenAddress = kind("ADDR", addressExample, parseListenAddress, formatListenAddress);

/** A listener that can be switched off by an empty address, which then reads as null. */
export const optionalListenAddress: Kind<ListenAddress | null> = {
  ...kind<ListenAddress | null>(
    "ADDR",
    `${addressExample}, or "" for none`,
    (text) => (text === "" ? null : parseListenAddress(text)),
    (address) => (address ? formatListenAddress(address) : ""),
  ),
  acceptsEmpty: true,
};

export const directory = kind("PATH", "a directory", (text) => (text === "" || text.includes("\0") ? undefined : text));

export const httpPath = kind("PATH", "a path that starts with /, such as /metrics", (text) =>
  /^\/[\w./-]+$/.test(text) ? text : undefined,
);

/** Longer than nothing and at most a century: beyond that, a number was meant in another unit. */
export const durationMs = kind(
  "DURATION",
  "a duration such as 30d, 720h, 1h30m or 500ms",
  parsedDuration,
  formatDurationMs,
);

function parsedDuration(text: string): number | undefined {
  const ms = parseDurationMs(text);
  return ms !== undefined && ms > 0 && ms <= 36_525 * 86_400_000 ? ms : undefined;
}

/** As durationMs, and 0, which turns off what it is about. */
export const durationMsOrNone: Kind<number> = kind(
  "DURATION",
  "a duration such as 24h or 30m, or 0",
  (text) => (/^0(ms|[smhdwy])?$/.test(text) ? 0 : parsedDuration(text)),
  (ms) => (ms === 0 ? "0" : formatDurationMs(ms)),
);

export const sizeBytes = (min: string, max: string): Kind<number> =>
  kind(
    "SIZE",
    `a size from ${min} to ${max}, such as 256MB or 256MiB (both 268435456), or a number of bytes`,
    (text) => inRange(parseSizeBytes(text), parseSizeBytes(min)!, parseSizeBytes(max)!),
    formatSizeBytes,
  );

/** A size, or the word for one that is found at run time. */
export const sizeBytesOrAuto: Kind<number | "auto"> = kind<number | "auto">(
  "SIZE",
  "`auto`, or a size such as 256MB, or 0 for none",
  (text) => (text === "auto" ? "auto" : parseSizeBytes(text)),
  (value) => (value === "auto" ? "auto" : formatSizeBytes(value)),
);

export const wholeNumber = (min: number, max: number): Kind<number> =>
  kind("NUMBER", `a whole number from ${min} to ${max}`, (text) =>
    /^\d{1,15}$/.test(text) ? inRange(Number(text), min, max) : undefined,
  );

const inRange = (value: number | undefined, min: number, max: number): number | undefined =>
  value !== undefined && value >= min && value <= max ? value : undefined;

const booleans: ReadonlyMap<string, boolean> = new Map([
  ["true", true],
  ["1", true],
  ["false", false],
  ["0", false],
]);
export const trueOrFalse = kind("BOOL", "true or false", (text) => booleans.get(text.toLowerCase()));

export const oneOf = <const Choice extends string>(...choices: readonly Choice[]): Kind<Choice> =>
  kind(choices.join("|"), `one of ${choices.join(", ")}`, (text) => choices.find((choice) => choice === text));
