/**
 * Events, as `kubectl describe` and `kubectl get events` show them. They are told once: the same reason for the same object
 * within ten minutes is only counted, and the count is added to the event that is there when it happens again afterwards. A
 * resource that always fails costs six small writes an hour.
 *
 * Nothing waits for an event and nothing fails by one: they are sent one after another in the background, and dropped when
 * there are too many.
 */
import type { Clock } from "../../base/clock.ts";
import type { Logger } from "../../base/logger.ts";
import type { ClusterClient } from "./client.ts";
import { ClusterError } from "./errors.ts";
import { RESOURCES, apiVersionOf, keyOf, microTime } from "./objects.ts";
import type { KubeObject, ObjectKey } from "./objects.ts";

export interface EventNote {
  /** Whose story it belongs to: the TimeSeriesDB, as it was read. */
  readonly regarding: KubeObject;
  /** Another object that it is about, such as a member's pod; the same reason for another one is another event. */
  readonly related?: KubeObject;
  readonly type: "Normal" | "Warning";
  /** One word of api/reasons.ts. */
  readonly reason: string;
  /** What was done or tried, in a word: "Apply". */
  readonly action: string;
  /** A sentence for people. */
  readonly note: string;
}

export type EventOutcome = "sent" | "repeated" | "dropped" | "failed";

export interface EventOptions {
  readonly client: Pick<ClusterClient, "create" | "mergeEvent" | "mayWrite">;
  /** Of this process: who reports. */
  readonly instance: string;
  readonly clock: Clock;
  /** In [0, 1). */
  readonly random: () => number;
  readonly log: Logger;
  readonly onOutcome: (outcome: EventOutcome) => void;
}

export const REPORTING_CONTROLLER = "tsdb.dev/operator";
export const QUIET_MS = 600_000;
/** API servers keep events for an hour, by default; an older one may be gone. */
const SERIES_MS_MAX = 3_000_000;
const WAITING_MAX = 1_000;
const STORIES_MAX = 10_000;

// What the API server takes at most.
const NOTE_BYTES_MAX = 1_024;
const INSTANCE_LENGTH_MAX = 128;
const NAME_LENGTH_MAX = 253;

/** One reason for one object. */
interface Story {
  /** The event that tells it; undefined until it was created. */
  key: ObjectKey | undefined;
  createdMs: number;
  /** When it was last told. */
  toldMs: number;
  count: number;
}

export class EventRecorder {
  readonly #options: EventOptions;
  /** Oldest told first. */
  readonly #stories = new Map<string, Story>();
  readonly #waiting: (() => Promise<void>)[] = [];
  #sending: Promise<void> | undefined;

  constructor(options: EventOptions) {
    this.#options = options;
  }

  record(note: EventNote): void {
    const { clock, onOutcome } = this.#options;
    const nowMs = clock.monotonicMs();
    const id = idOf(note);
    const story = this.#stories.get(id);
    if (story !== undefined) {
      story.count++;
      if (nowMs - story.toldMs < QUIET_MS) return onOutcome("repeated");
    }
    if (this.#waiting.length >= WAITING_MAX) return onOutcome("dropped");
    const goesOn = story?.key !== undefined && nowMs - story.createdMs < SERIES_MS_MAX;
    const told: Story = goesOn ? story : { key: undefined, createdMs: nowMs, toldMs: nowMs, count: 1 };
    told.toldMs = nowMs;
    this.#stories.delete(id);
    this.#stories.set(id, told);
    this.#forget(nowMs);
    this.#waiting.push(() => this.#send(note, told));
    this.#sending ??= this.#drain().finally(() => void (this.#sending = undefined));
  }

  /** Resolves when all that was recorded has been sent or given up. */
  async flush(): Promise<void> {
    await this.#sending;
  }

  async #drain(): Promise<void> {
    for (let send = this.#waiting.shift(); send !== undefined; send = this.#waiting.shift()) await send();
  }

  async #send(note: EventNote, story: Story): Promise<void> {
    const { client, clock, log, onOutcome } = this.#options;
    // Who leads now will see the same and say it.
    if (!client.mayWrite) return onOutcome("dropped");
    const now = microTime(clock.nowMs());
    try {
      if (story.key !== undefined && (await this.#repeat(story.key, story.count, now))) return onOutcome("sent");
      const event = this.#event(note, now);
      story.key = undefined;
      await client.create(event);
      story.key = keyOf(event);
      onOutcome("sent");
    } catch (error) {
      onOutcome("failed");
      // A namespace that is being deleted takes no events; that is no news.
      log.debug({ reason: note.reason, error }, "could not send an event");
    }
  }

  /** @returns false when the event is gone */
  async #repeat(key: ObjectKey, count: number, lastObservedTime: string): Promise<boolean> {
    try {
      await this.#options.client.mergeEvent(key, { series: { count, lastObservedTime } });
      return true;
    } catch (error) {
      if (error instanceof ClusterError && error.isNotFound) return false;
      throw error;
    }
  }

  #event({ regarding, related, type, reason, action, note }: EventNote, eventTime: string): KubeObject {
    const { name, namespace = "default" } = regarding.metadata;
    const suffix = `.${Math.floor(this.#options.random() * 2 ** 48)
      .toString(16)
      .padStart(12, "0")}`;
    return {
      apiVersion: apiVersionOf(RESOURCES.event),
      kind: RESOURCES.event.kind,
      metadata: { namespace, name: name.slice(0, NAME_LENGTH_MAX - suffix.length) + suffix },
      eventTime,
      type,
      reason,
      action,
      note: cut(note, NOTE_BYTES_MAX),
      regarding: referenceTo(regarding),
      ...(related === undefined ? {} : { related: referenceTo(related) }),
      reportingController: REPORTING_CONTROLLER,
      reportingInstance: this.#options.instance.slice(0, INSTANCE_LENGTH_MAX),
    };
  }

  /** What was told long ago is told anew, as if for the first time. */
  #forget(nowMs: number): void {
    for (const [id, { toldMs }] of this.#stories) {
      if (nowMs - toldMs < SERIES_MS_MAX && this.#stories.size <= STORIES_MAX) return;
      this.#stories.delete(id);
    }
  }
}

const idOf = ({ regarding, related, reason, type }: EventNote): string =>
  JSON.stringify([regarding.metadata.uid, related?.kind, related?.metadata.name, type, reason]);

const referenceTo = ({ apiVersion, kind, metadata }: KubeObject): object => ({
  apiVersion,
  kind,
  name: metadata.name,
  ...(metadata.namespace === undefined ? {} : { namespace: metadata.namespace }),
  ...(metadata.uid === undefined ? {} : { uid: metadata.uid }),
  ...(metadata.resourceVersion === undefined ? {} : { resourceVersion: metadata.resourceVersion }),
});

/** The text in at most so many bytes, no character cut in two. */
function cut(text: string, bytesMax: number): string {
  if (Buffer.byteLength(text) <= bytesMax) return text;
  const end = "...";
  let shown = text.slice(0, bytesMax - end.length);
  while (Buffer.byteLength(shown) > bytesMax - end.length) shown = shown.slice(0, -1);
  return shown.toWellFormed() + end;
}
