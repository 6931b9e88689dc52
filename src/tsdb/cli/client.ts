/** Talks to a running database over its HTTP API; whatever goes wrong becomes a sentence with an exit code. */
import { Option } from "commander";
import { messageOf } from "../../base/errors.ts";
import { printable } from "./table.ts";
import { CommandError, exitCodes } from "./exit.ts";

export const urlOption = (): Option =>
  new Option("--url <URL>", "where the database listens").env("TSDB_URL").default("http://127.0.0.1:8080");

export interface ApiRequest {
  /** Path below the URL, such as `/api/v1/query`. */
  readonly path: string;
  readonly contentType: "application/json" | "application/x-www-form-urlencoded";
  readonly body: string;
}

/**
 * POSTs and returns the answer's text.
 * @throws CommandError notReachable when nobody answers, failed when the answer is an error, usage for a bad URL
 */
export async function post(url: string, { path, contentType, body }: ApiRequest): Promise<string> {
  const base = parseUrl(url);
  let response: Response;
  let text: string;
  try {
    response = await fetch(new URL(base.pathname.replace(/\/$/, "") + path, base), {
      method: "POST",
      headers: { "content-type": contentType, accept: "application/json" },
      body,
      redirect: "manual",
    });
    text = await response.text();
  } catch (thrown) {
    throw new CommandError(
      exitCodes.notReachable,
      `cannot reach ${base.origin}: ${networkReason(thrown)}`,
      "Start a database with `tsdb start`, or say where it is with --url or TSDB_URL",
    );
  }
  if (response.ok) return text;
  throw refusal(response, text, base.origin);
}

function parseUrl(url: string): URL {
  const parsed = URL.canParse(url) ? new URL(url) : undefined;
  if (parsed && /^https?:$/.test(parsed.protocol)) return parsed;
  throw new CommandError(exitCodes.usage, `the URL is ${JSON.stringify(url)}: expected one such as http://127.0.0.1:8080`);
}

function refusal(response: Response, text: string, origin: string): CommandError {
  const answered = errorOf(text);
  const retryAfter = response.headers.get("retry-after");
  const message = answered
    ? printable(answered)
    : `${origin} answered ${response.status} ${response.statusText}, and not as a database does`;
  const remedy =
    response.status === 503
      ? `Try again${retryAfter ? ` in ${retryAfter} s` : " later"}; ${origin}/-/ready says whether it is ready`
      : answered
        ? undefined
        : "Check --url or TSDB_URL: is it the address of a tsdb?";
  return new CommandError(response.status === 503 ? exitCodes.notReachable : exitCodes.failed, message, remedy);
}

/** The sentence of a Prometheus error envelope. */
function errorOf(text: string): string | undefined {
  try {
    const body: unknown = JSON.parse(text);
    const message = typeof body === "object" && body !== null ? (body as { error?: unknown }).error : undefined;
    return typeof message === "string" && message !== "" ? message : undefined;
  } catch {
    return undefined;
  }
}

const reasons: Readonly<Record<string, string>> = {
  ECONNREFUSED: "nobody listens there (connection refused)",
  ENOTFOUND: "there is no host of that name",
  EAI_AGAIN: "the name cannot be looked up now",
  ECONNRESET: "the connection was cut",
  UND_ERR_SOCKET: "the connection was cut",
  ETIMEDOUT: "no answer in time",
  UND_ERR_CONNECT_TIMEOUT: "no answer in time",
  UND_ERR_HEADERS_TIMEOUT: "no answer in time",
};

/** fetch says only "fetch failed"; the reason is in its cause, or in the causes of all addresses that were tried. */
function networkReason(thrown: unknown): string {
  const cause = thrown instanceof Error && thrown.cause !== undefined ? thrown.cause : thrown;
  const first: unknown = cause instanceof AggregateError ? cause.errors[0] : cause;
  const code = (first as { code?: unknown } | undefined)?.code;
  return (typeof code === "string" && reasons[code]) || messageOf(first);
}
