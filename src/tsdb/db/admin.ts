/** What an operator asks of a database, and in which of its states. */
import { TsdbError } from "../../base/errors.ts";
import type { MissingRange } from "../storage.ts";
import type {
  AdminApi,
  CompactReport,
  DeleteReport,
  DeleteRequest,
  KnownBlock,
  RetentionChange,
  RetentionInForce,
  RunningJob,
  SnapshotReport,
} from "./api.ts";
import type { Controls } from "./controls.ts";
import type { Maintenance } from "./maintenance.ts";
import { type DatabaseState, meaningOf, type StateFacts } from "./states.ts";

export interface AdminOptions {
  readonly controls: Controls;
  readonly maintenance: Maintenance;
  readonly isOpen: () => boolean;
  readonly state: () => DatabaseState;
  readonly facts: () => StateFacts;
  /** @throws TsdbError READ_ONLY, NOT_READY */
  readonly mustBeWritable: () => void;
}

export class Admin implements AdminApi {
  readonly #options: AdminOptions;

  constructor(options: AdminOptions) {
    this.#options = options;
  }

  setReadOnly(isReadOnly: boolean): Promise<void> {
    const { controls, maintenance } = this.#options;
    return this.#whenOpen(async () => {
      await controls.setReadOnly(isReadOnly);
      if (isReadOnly) await maintenance.pause();
    });
  }

  get retention(): RetentionInForce {
    return this.#options.controls.retention;
  }

  setRetention(change: RetentionChange): Promise<void> {
    return this.#whenOpen(() => this.#options.controls.setRetention(change));
  }

  get blocks(): readonly KnownBlock[] {
    return this.#options.maintenance.blocks.all;
  }

  get missing(): readonly MissingRange[] {
    return this.#options.maintenance.blocks.missing;
  }

  get jobs(): readonly RunningJob[] {
    return this.#options.maintenance.board.running;
  }

  compact(): Promise<CompactReport> {
    return this.#whenChangeable(() => this.#options.maintenance.compact());
  }

  deleteSeries(request: DeleteRequest): Promise<DeleteReport> {
    const { maintenance, mustBeWritable } = this.#options;
    // Counting changes nothing, so it may be done in every state that reads.
    if (request.isDryRun) return this.#whenOpen(() => maintenance.deleteSeries(request));
    return this.#whenChangeable(() => {
      // A delete is a record of the log, as a write is.
      mustBeWritable();
      return maintenance.deleteSeries(request);
    });
  }

  cleanTombstones(): Promise<CompactReport> {
    return this.#whenChangeable(() => this.#options.maintenance.cleanTombstones());
  }

  suspect(ulid: string): void {
    this.#options.maintenance.suspect(ulid);
  }

  snapshot(skipHead: boolean): Promise<SnapshotReport> {
    return this.#whenOpen(() => this.#options.maintenance.snapshot(skipHead));
  }

  /** Not while the database is read-only by hand: whoever copies its files may rely on them. */
  #whenChangeable<T>(run: () => Promise<T>): Promise<T> {
    return this.#whenOpen(() => {
      const { controls, facts } = this.#options;
      if (!controls.isReadOnly) return run();
      throw new TsdbError("READ_ONLY", meaningOf("readonly-manual", facts()).text);
    });
  }

  async #whenOpen<T>(run: () => Promise<T>): Promise<T> {
    const { isOpen, state, facts } = this.#options;
    if (!isOpen()) throw new TsdbError("NOT_READY", meaningOf(state(), facts()).text);
    return run();
  }
}
