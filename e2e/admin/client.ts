/** The admin API as its users call it, and what they see of it. */

export interface AdminAnswer {
  readonly status: number;
  /** Seconds. */
  readonly retryAfter: string | null;
  readonly data: unknown;
  readonly error: string | undefined;
  readonly warnings: readonly string[];
}

export interface Call {
  readonly method?: "GET" | "POST";
  readonly parameters?: readonly (readonly [string, string])[];
  readonly json?: unknown;
}

export async function call(url: string, path: string, { method = "GET", parameters = [], json }: Call = {}) {
  const query = new URLSearchParams(parameters.map(([name, value]) => [name, value])).toString();
  const response = await fetch(`${url}${path}${query === "" ? "" : `?${query}`}`, {
    method,
    ...(json === undefined
      ? {}
      : { body: JSON.stringify(json), headers: { "content-type": "application/json" } as const }),
  });
  const text = await response.text();
  const body = (text === "" ? {} : JSON.parse(text)) as Partial<AdminAnswer>;
  return {
    status: response.status,
    retryAfter: response.headers.get("retry-after"),
    data: body.data,
    error: body.error,
    warnings: body.warnings ?? [],
  } satisfies AdminAnswer;
}

export const post = (url: string, path: string, rest: Omit<Call, "method"> = {}): Promise<AdminAnswer> =>
  call(url, path, { method: "POST", ...rest });

/** @throws Error when the answer is not one of success */
export async function dataOf<T>(answer: Promise<AdminAnswer>): Promise<T> {
  const { status, data, error } = await answer;
  if (status !== 200) throw new Error(`answered ${status}: ${error}`);
  return data as T;
}

export interface BlockList {
  readonly blocks: readonly {
    readonly ulid: string;
    readonly minTime: number;
    readonly maxTime: number;
    readonly compaction: { readonly level: number };
    readonly stats: { readonly numSamples: number; readonly numSeries: number };
  }[];
  /** By ULID what is wrong. */
  readonly damaged: Readonly<Record<string, string>>;
  readonly quarantined: readonly {
    readonly ulid: string;
    readonly minTime: number | null;
    readonly maxTime: number | null;
    readonly reason: string;
  }[];
}

export const blocksOf = (url: string): Promise<BlockList> => dataOf(call(url, "/api/v1/status/tsdb/blocks"));

interface Matrix {
  readonly result: readonly {
    readonly metric: Readonly<Record<string, string>>;
    readonly values: readonly (readonly [seconds: number, value: string])[];
  }[];
}

/** All samples of the series that match, between two times, both ends inclusive: by labels, time to value. */
export async function samplesOf(url: string, selector: string, mint: number, maxt: number) {
  const range = `${maxt - mint + 1}ms`;
  const answer = await call(url, "/api/v1/query", {
    parameters: [
      ["query", `${selector}[${range}]`],
      ["time", (maxt / 1000).toFixed(3)],
    ],
  });
  if (answer.status !== 200) throw new Error(`a query was answered ${answer.status}: ${answer.error}`);
  const samples = new Map<string, Map<number, number>>();
  for (const { metric, values } of (answer.data as Matrix).result) {
    const key = Object.entries(metric)
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map((pair) => pair.join("="))
      .join(",");
    samples.set(key, new Map(values.map(([seconds, value]) => [Math.round(seconds * 1000), Number(value)])));
  }
  return { samples, warnings: answer.warnings };
}
