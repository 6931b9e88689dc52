/** Talks to a running database over its HTTP API; whatever goes wrong becomes a sentence with an exit code. */
import { Option } from "commander";
import { errnoOf, messageOf } from "../../base/errors.ts";
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
export async function post(url: string, request: ApiRequest): Promise<string> {
  const base = parseUrl(url);
  const origin = `${base.protocol}//${base.host}`;
  let answer: Answer;
  try {
    answer = await exchange(base, request);
  } catch (thrown) {
    throw new CommandError(
      exitCodes.notReachable,
      `cannot reach ${origin}: ${networkReason(thrown)}`,
      "Start a database with `tsdb start`, or say where it is with --url or TSDB_URL",
    );
  }
  if (answer.status >= 200 && answer.status < 300) return answer.text;
  throw refusal(answer, origin);
}

interface Answer {
  readonly status: number;
  readonly statusText: string;
  readonly retryAfter: string | undefined;
  readonly text: string;
}

/** Not with fetch: it refuses ports that browsers refuse (6000, 10080), and names and passwords in the URL. */
async function exchange(base: URL, { path, contentType, body }: ApiRequest): Promise<Answer> {
  const { request } = base.protocol === "https:" ? await import("node:https") : await import("node:http");
  return new Promise((resolve, reject) => {
    const asking = request(new URL(base.pathname.replace(/\/$/, "") + path, base), {
      method: "POST",
      auth:
        base.username === "" ? undefined : `${decodeURIComponent(base.username)}:${decodeURIComponent(base.password)}`,
      headers: { "content-type": contentType, "content-length": Buffer.byteLength(body), accept: "application/json" },
    });
    asking.on("error", reject);
    // Only until somebody is there: a query may take its time.
    asking.on("socket", (socket) => {
      if (!socket.connecting) return;
      socket.setTimeout(CONNECT_TIMEOUT_MS, () => asking.destroy(new NoAnswerError()));
      socket.once("connect", () => socket.setTimeout(0));
    });
    asking.on("response", (response) => {
      let text = "";
      response.setEncoding("utf8").on("data", (piece: string) => (text += piece));
      response.on("error", reject);
      response.on("end", () => {
        const { statusCode: status = 0, statusMessage: statusText = "", headers } = response;
        resolve({ status, statusText, retryAfter: headers["retry-after"], text });
      });
    });
    asking.end(body);
  });
}

const CONNECT_TIMEOUT_MS = 10_000;

class NoAnswerError extends Error {
  readonly code = "ETIMEDOUT";
}

function parseUrl(text: string): URL {
  // `localhost:8080` is what people type.
  const url = text.includes("://") ? text : `http://${text}`;
  const parsed = URL.canParse(url) ? new URL(url) : undefined;
  if (parsed && /^https?:$/.test(parsed.protocol)) return parsed;
  throw new CommandError(
    exitCodes.usage,
    `the URL is ${JSON.stringify(text)}: expected one such as http://127.0.0.1:8080`,
  );
}

function refusal({ status, statusText, retryAfter, text }: Answer, origin: string): CommandError {
  const answered = errorOf(text);
  const message = answered
    ? printable(answered.replace(/^invalid parameter "query": /, ""))
    : `${origin} answered ${status} ${statusText}, and not as a database does`;
  const remedy =
    status === 503
      ? `Try again${retryAfter ? ` in ${retryAfter} s` : " later"}`
      : answered
        ? undefined
        : "Check --url or TSDB_URL: is it the address of a tsdb?";
  return new CommandError(status === 503 ? exitCodes.notReachable : exitCodes.failed, message, remedy);
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
  EPIPE: "the connection was cut",
  ETIMEDOUT: "no answer in time",
  EPROTO: "it does not speak TLS; is the URL one with http://?",
};

/** Where several addresses of a name were tried, the reason of the first. */
function networkReason(thrown: unknown): string {
  const first: unknown = thrown instanceof AggregateError ? thrown.errors[0] : thrown;
  return reasons[errnoOf(first) ?? ""] ?? messageOf(first);
}
