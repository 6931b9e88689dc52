/** Reads a shard back, all of it, through the query API. */
import { Agent, get } from "node:http";
import type { FoundSeries } from "./ledger.ts";
import { FUTURE_MS } from "./sender.ts";
import { METRIC } from "./workload.ts";

/** Further back than any sample, well inside the retention. */
const RANGE = "3d";

interface Answer {
  readonly status: string;
  readonly warnings?: readonly string[];
  readonly data: {
    readonly result: readonly {
      readonly metric: Readonly<Record<string, string>>;
      readonly values: readonly (readonly [number, string])[];
    }[];
  };
}

export class Reader {
  readonly #url: string;
  readonly #agent = new Agent({ keepAlive: true, maxSockets: 2 });

  constructor(url: string) {
    this.#url = url;
  }

  /** @throws when the query fails or warns: after a crash nothing may be missing silently, nor be known to be damaged */
  async shard(shard: number): Promise<FoundSeries[]> {
    // Seen from behind everything, samples that must have been refused for their time included.
    const query = `${METRIC}{shard="${shard}"}[${RANGE}]`;
    const parameters = new URLSearchParams({ query, time: String((Date.now() + 2 * FUTURE_MS) / 1000) });
    const { status, body } = await this.#get(`/api/v1/query?${parameters.toString()}`);
    const answer = JSON.parse(body) as Answer;
    if (status !== 200 || answer.status !== "success")
      throw new Error(`The query was answered ${status}: ${body.slice(0, 300)}`);
    if (answer.warnings) throw new Error(`The query warns: ${answer.warnings.join("; ")}`);
    return answer.data.result.map(({ metric, values }) => ({
      i: Number(metric["i"]),
      timesMs: values.map(([seconds]) => Math.round(seconds * 1000)),
      values: values.map(([, text]) => numberOf(text)),
    }));
  }

  /** Damage that the server found while it started. */
  async damage(): Promise<readonly unknown[]> {
    const { body } = await this.#get("/api/v1/status/walreplay");
    return (JSON.parse(body) as { readonly data: { readonly damage: readonly unknown[] } }).data.damage;
  }

  close(): void {
    this.#agent.destroy();
  }

  #get(path: string): Promise<{ readonly status: number | undefined; readonly body: string }> {
    return new Promise((resolve, reject) => {
      const request = get(new URL(path, this.#url), { agent: this.#agent }, (response) => {
        const pieces: Buffer[] = [];
        response.on("data", (piece: Buffer) => pieces.push(piece));
        response.on("error", reject);
        response.on("end", () => resolve({ status: response.statusCode, body: Buffer.concat(pieces).toString() }));
      });
      request.on("error", reject);
    });
  }
}

const numberOf = (text: string): number =>
  text === "+Inf" ? Number.POSITIVE_INFINITY : text === "-Inf" ? Number.NEGATIVE_INFINITY : Number(text);
