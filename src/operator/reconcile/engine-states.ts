/**
 * What the engines say of themselves, asked by the leader every few seconds on the members' probe listeners. Only a change is
 * news: it adds the database's key, and nothing else ever comes of asking.
 */
import type { Clock, Timer } from "../../base/clock.ts";
import type { LivePod } from "./live.ts";
import type { EngineState } from "./members.ts";

export interface EngineStatesOptions {
  readonly clock: Clock;
  readonly intervalMs: number;
  /** Members that may be worth asking, with the key of their database. */
  readonly pods: () => Iterable<{ readonly pod: LivePod; readonly owner: string }>;
  /** Rejects when it cannot be had. */
  readonly ask: (address: string) => Promise<EngineState>;
  readonly onChange: (owner: string) => void;
}

/** Members that are asked at once. */
const CONCURRENCY = 16;
/** One that cannot be reached is asked less and less often, up to every so many rounds. */
const ROUNDS_MAX = 8;
/** A single lost answer says nothing; after so many nothing is known any more. */
const FAILURES_MAX = 3;

interface Known {
  readonly state: EngineState | undefined;
  readonly failures: number;
  /** Rounds until it is asked again. */
  readonly pauseRounds: number;
}

export class EngineStates {
  readonly #options: EngineStatesOptions;
  /** By the pod's uid: its successor of the same name starts with nothing. */
  #known = new Map<string, Known>();
  #timer: Timer | undefined;
  #isStopped = false;
  #round: Promise<void> = Promise.resolve();

  constructor(options: EngineStatesOptions) {
    this.#options = options;
  }

  start(): void {
    this.#round = this.askAll().then(() => this.#later());
  }

  async stop(): Promise<void> {
    this.#isStopped = true;
    this.#timer?.cancel();
    await this.#round;
  }

  /** Whether anything can be known: a leader that has just begun knows nothing yet. */
  hasAsked(pod: LivePod): boolean {
    return this.#known.has(pod.metadata.uid ?? "");
  }

  /** Undefined while it is not known. */
  get(pod: LivePod): EngineState | undefined {
    return this.#known.get(pod.metadata.uid ?? "")?.state;
  }

  #later(): void {
    if (this.#isStopped) return;
    const { clock, intervalMs } = this.#options;
    this.#timer = clock.after(intervalMs, () => {
      this.#round = this.askAll().then(() => this.#later());
    });
  }

  /** One round: every member that runs is asked once. */
  async askAll(): Promise<void> {
    const pending = [...this.#options.pods()].filter(
      ({ pod }) => pod.status?.phase === "Running" && (pod.status.podIP ?? "") !== "" && pod.metadata.uid !== undefined,
    );
    const uids = new Set(pending.map(({ pod }) => pod.metadata.uid));
    for (const uid of this.#known.keys()) if (!uids.has(uid)) this.#known.delete(uid);
    const work = pending.values();
    const worker = async (): Promise<void> => {
      // All workers take from one iterator.
      for (const { pod, owner } of work) {
        if (this.#isStopped) return;
        await this.#ask(pod, owner);
      }
    };
    await Promise.all(Array.from({ length: Math.min(CONCURRENCY, pending.length) }, worker));
  }

  async #ask(pod: LivePod, owner: string): Promise<void> {
    const uid = pod.metadata.uid!;
    const known = this.#known.get(uid);
    if (known !== undefined && known.pauseRounds > 0) {
      this.#known.set(uid, { ...known, pauseRounds: known.pauseRounds - 1 });
      return;
    }
    let state: EngineState | undefined;
    let failures = 0;
    try {
      state = await this.#options.ask(pod.status!.podIP!);
    } catch {
      // Out of reach, or not listening yet; the pod's own probes say which, and the conditions that it is not known.
      failures = (known?.failures ?? 0) + 1;
      if (failures < FAILURES_MAX) state = known?.state;
    }
    const pauseRounds = failures <= FAILURES_MAX ? 0 : Math.min(ROUNDS_MAX, failures - FAILURES_MAX);
    this.#known.set(uid, { state, failures, pauseRounds });
    if (!isSame(state, known?.state)) this.#options.onChange(owner);
  }
}

const isSame = (a: EngineState | undefined, b: EngineState | undefined): boolean =>
  a?.state === b?.state && a?.configFileHash === b?.configFileHash;
