/**
 * One sender that writes a sample every so often through everything that happens, and remembers which were acknowledged:
 * each of these must be there in the end, as it was sent. What was not acknowledged may be there or not.
 */
import { sleep } from "../../support/until.ts";

const METRIC = "ledger_total";
const EVERY_MS = 100;
const TIMEOUT_MS = 5_000;

export interface LedgerFigures {
  readonly sent: number;
  readonly acknowledged: number;
  /** Acknowledged, and not there, or another value. */
  readonly lost: readonly number[];
}

export class Ledger {
  /** By the time of the sample, ms since the epoch. */
  readonly #acknowledged = new Map<number, number>();
  readonly #address: () => Promise<string | undefined>;
  #url: string | undefined;
  #sent = 0;
  #isStopped = false;
  #running: Promise<void> | undefined;

  /** @param address where the database is now; asked again whenever it did not answer */
  constructor(address: () => Promise<string | undefined>) {
    this.#address = address;
  }

  start(): void {
    this.#running = this.#run();
  }

  async stop(): Promise<void> {
    this.#isStopped = true;
    await this.#running;
  }

  get acknowledged(): number {
    return this.#acknowledged.size;
  }

  async #run(): Promise<void> {
    while (!this.#isStopped) {
      await this.#write(Date.now(), this.#sent + 1);
      await sleep(EVERY_MS);
    }
  }

  async #write(timestamp: number, value: number): Promise<void> {
    try {
      this.#url ??= await this.#address();
      if (this.#url === undefined) return;
      this.#sent++;
      const { status } = await fetch(`${this.#url}/api/v1/write`, {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: JSON.stringify({
          timeseries: [{ labels: [{ name: "__name__", value: METRIC }], samples: [{ timestamp, value }] }],
        }),
        signal: AbortSignal.timeout(TIMEOUT_MS),
      });
      if (status === 204) this.#acknowledged.set(timestamp, value);
    } catch {
      this.#url = undefined;
    }
  }

  /** Asks for all that was written, and compares. */
  async check(): Promise<LedgerFigures> {
    const url = await this.#address();
    const response = await fetch(`${url}/api/v1/query?query=${encodeURIComponent(`${METRIC}[4h]`)}`);
    const { data } = (await response.json()) as {
      readonly data: { readonly result: readonly { readonly values: readonly (readonly [number, string])[] }[] };
    };
    const stored = new Map(data.result[0]?.values.map(([seconds, value]) => [Math.round(seconds * 1000), value]));
    const lost = [...this.#acknowledged].filter(([time, value]) => stored.get(time) !== String(value));
    return { sent: this.#sent, acknowledged: this.acknowledged, lost: lost.map(([time]) => time) };
  }
}
