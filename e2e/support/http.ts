/** Requests to the servers of a test, and answers as they came over the wire. */

export interface Answer {
  readonly status: number;
  readonly contentType: string;
  readonly text: string;
}

/** Names may repeat, as `match[]` does. */
export type Parameters = readonly (readonly [name: string, value: string])[];

export interface QueryRequest {
  /** Below the server's URL: `/api/v1/query`. */
  readonly path: string;
  readonly parameters: Parameters;
  /** POST sends the parameters as a form. */
  readonly method?: "GET" | "POST";
}

export async function ask(baseUrl: string, { path, parameters, method = "GET" }: QueryRequest): Promise<Answer> {
  const encoded = new URLSearchParams(parameters.map(([name, value]) => [name, value]));
  const query = parameters.length === 0 || method === "POST" ? "" : `?${encoded.toString()}`;
  const response = await fetch(`${baseUrl}${path}${query}`, method === "POST" ? { method, body: encoded } : { method });
  return {
    status: response.status,
    contentType: response.headers.get("content-type") ?? "",
    text: await response.text(),
  };
}

export async function isOk(url: string): Promise<boolean> {
  try {
    const response = await fetch(url);
    await response.arrayBuffer();
    return response.ok;
  } catch {
    return false; // not listening yet, or no longer
  }
}

/** The values of a metrics page: `name{labels}` as printed, to its value. */
export async function metricsOf(baseUrl: string): Promise<ReadonlyMap<string, number>> {
  const { text } = await ask(baseUrl, { path: "/metrics", parameters: [] });
  const lines = text.split("\n").filter((line) => line !== "" && !line.startsWith("#"));
  return new Map(
    lines.map((line) => {
      const space = line.lastIndexOf(" ");
      return [line.slice(0, space), Number(line.slice(space + 1).replace("Inf", "Infinity"))];
    }),
  );
}

/** The sum over all series of one metric, 0 when there is none. */
export function sumOf(metrics: ReadonlyMap<string, number>, name: string): number {
  let sum = 0;
  for (const [series, value] of metrics) if (series === name || series.startsWith(`${name}{`)) sum += value;
  return sum;
}
