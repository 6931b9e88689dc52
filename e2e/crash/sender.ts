/**
 * Remote-write load over several connections. Each connection has shards of its own and one request under way, so the
 * samples of a series are sent in order. What got no clear answer is sent again, unchanged, before anything newer of its
 * shard, as a Prometheus does.
 */
import { Agent, request as httpRequest } from "node:http";
import { setTimeout as delay } from "node:timers/promises";
import type { Random } from "../../test/support/random.ts";
import type { Ledger, SentRequest } from "./ledger.ts";
import { SHARDS, writeBody } from "./workload.ts";

const CONNECTIONS = 8;
/** Share of the requests that goes to the first shard of a connection: its chunks fill up, those of others stay open. */
const HOT_SHARE = 0.6;
const HOSTILE_SHARE = 0.02;
const TIMES_PER_REQUEST_MAX = 10;
const STEP_MS_MAX = 60_000;
/**
 * Samples begin this long ago, and cross many 2 h boundaries before they reach the present. Shards that get fewer requests
 * fall behind the others by hours, never by more than the out-of-order window of a day.
 */
const START_AGO_MS = 22 * 3_600_000;
const RETRY_MS = 20;

/** Times of samples that must be refused lie this far ahead. */
export const FUTURE_MS = 3_600_000;

export class Sender {
  readonly #ledger: Ledger;
  readonly #random: Random;
  readonly #nextTimeMs: number[];
  #isFrozen = false;
  #isStopping = false;
  /** Answers 503 of the present run, and 2xx since the last of them. */
  unavailable = 0;
  ackedSinceUnavailable = 0;

  constructor(ledger: Ledger, random: Random) {
    this.#ledger = ledger;
    this.#random = random;
    const startMs = Date.now() - START_AGO_MS;
    this.#nextTimeMs = Array.from({ length: SHARDS }, () => startMs + random.below(3_600_000));
  }

  /** Sends until `stop`, or until the connections break. Resolves once no request is under way any more. */
  async run(url: string): Promise<void> {
    this.#isFrozen = this.#isStopping = false;
    this.unavailable = this.ackedSinceUnavailable = 0;
    const agent = new Agent({ keepAlive: true, maxSockets: CONNECTIONS });
    const target = new URL("/api/v1/write", url);
    try {
      await Promise.all(Array.from({ length: CONNECTIONS }, (_, lane) => this.#send(lane, target, agent)));
    } finally {
      agent.destroy();
    }
  }

  /** Ends the run once the requests under way are answered. */
  stop(): void {
    this.#isStopping = true;
  }

  /** Answers that are seen from now on prove nothing: the fault is about to be caused. */
  freeze(): void {
    this.#isFrozen = this.#isStopping = true;
  }

  async #send(lane: number, target: URL, agent: Agent): Promise<void> {
    const shards = Array.from({ length: SHARDS }, (_, shard) => shard).filter((shard) => shard % CONNECTIONS === lane);
    const doubtful = shards.filter((shard) => this.#ledger.last(shard)?.outcome === "doubt");
    while (!this.#isStopping) {
      const shard = doubtful.pop() ?? (this.#random.chance(HOT_SHARE) ? shards[0]! : this.#random.pick(shards));
      if (!(await this.#deliver(this.#next(shard), target, agent))) return;
    }
  }

  #next(shard: number): SentRequest {
    const last = this.#ledger.last(shard);
    if (last?.outcome === "doubt") return last;
    const times = this.#random.chance(0.5) ? 1 : this.#random.between(1, TIMES_PER_REQUEST_MAX);
    return this.#ledger.begin(
      shard,
      Array.from({ length: times }, () => this.#step(shard)),
    );
  }

  /** The next time of a shard. Steps grow small before they reach the present, so that none is ever in the future. */
  #step(shard: number): number {
    const timeMs = this.#nextTimeMs[shard]!;
    const roomMs = Math.max(1, Math.floor((Date.now() - timeMs) / 100));
    this.#nextTimeMs[shard] = timeMs + this.#random.between(1, Math.min(STEP_MS_MAX, roomMs));
    return timeMs;
  }

  /** @returns false when there will be no more answers that count */
  async #deliver(request: SentRequest, target: URL, agent: Agent): Promise<boolean> {
    const body = writeBody(this.#ledger.seed, request);
    for (;;) {
      request.attempts++;
      const status = await post(target, agent, body);
      if (status === undefined || this.#isFrozen) return false;
      // Of what comes again, all but the newest sample of a series is out of order: it is there, then, from the first time.
      if (status === 204 || (status === 400 && request.attempts > 1)) {
        this.#ledger.acknowledge(request);
        this.ackedSinceUnavailable++;
        return this.#random.chance(HOSTILE_SHARE) ? this.#provoke(request, target, agent) : true;
      }
      if (status !== 503) throw new Error(`A request of good samples was answered ${status}`);
      this.unavailable++;
      this.ackedSinceUnavailable = 0;
      if (this.#isStopping) return false;
      await delay(RETRY_MS);
    }
  }

  /**
   * What must change nothing: other values for times that are stored, or times far ahead. Both are refused; the former may
   * also be taken and come to nothing, when what is stored has moved to blocks, where it is not looked for.
   */
  async #provoke({ shard, timesMs }: SentRequest, target: URL, agent: Agent): Promise<boolean> {
    const isStored = this.#random.chance(0.5);
    const timeMs = isStored ? timesMs.at(-1)! : Date.now() + FUTURE_MS;
    const status = await post(target, agent, writeBody(~this.#ledger.seed, { shard, timesMs: [timeMs] }));
    if (status === 204 && !isStored) throw new Error("Samples that must be refused were accepted");
    return status !== undefined && !this.#isFrozen;
  }
}

/** @returns the status; undefined when there was no whole answer */
function post(target: URL, agent: Agent, body: Buffer): Promise<number | undefined> {
  const headers = {
    "Content-Type": "application/x-protobuf",
    "Content-Encoding": "snappy",
    "X-Prometheus-Remote-Write-Version": "0.1.0",
    "Content-Length": body.length,
  };
  return new Promise((resolve) => {
    const request = httpRequest(target, { method: "POST", agent, headers }, (response) => {
      response.on("error", () => resolve(undefined));
      response.on("end", () => resolve(response.complete ? response.statusCode : undefined));
      response.resume();
    });
    request.on("error", () => resolve(undefined));
    request.end(body);
  });
}
