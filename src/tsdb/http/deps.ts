/** What the HTTP side is handed: everything it shows comes from here, so tests build it from fakes. */
import type { Clock } from "../../base/clock.ts";
import type { Logger } from "../../base/logger.ts";
import type { DatabaseApi } from "../db.ts";
import type { QueryRunner } from "../query/pool.ts";

export interface AppDeps extends ProbeDeps {
  readonly queries: QueryRunner;
  readonly runtime: RuntimeView;
  readonly options: HttpOptions;
}

/** What the probe listener needs of it. */
export interface ProbeDeps {
  readonly database: DatabaseApi;
  readonly clock: Clock;
  readonly log: Logger;
  readonly build: BuildInfo;
  readonly config: ConfigView;
}

export interface BuildInfo {
  /** Ours, as `tsdb --version` prints it. */
  readonly version: string;
  readonly revision: string;
  /** Of the files in the data directory. */
  readonly formatVersion: number;
  /** Such as "node v26.10.0". */
  readonly runtime: string;
}

/** The config in force, as it may be shown: secrets are left out by whoever builds this. */
export interface ConfigView {
  /** By name without dashes, as --NAME takes them. */
  flags(): Readonly<Record<string, string>>;
  yaml(): string;
  /** Differs whenever the config in force differs. */
  hash(): string;
  /** Of the file's text that is in force; undefined without a file. */
  fileHash(): string | undefined;
  /** Where a value comes from, such as "default" or "flag --retention". @param key as in the file */
  origin(key: string): string;
  /** Whether settings may only be changed in the file. */
  isManaged(): boolean;
  loaded(): { readonly isSuccessful: boolean; readonly atMs: number };
  /** Reads it again; @throws TsdbError BAD_CONFIG, and then nothing has changed */
  reload(): ReloadView;
}

/** What a reload found changed: values by key. */
export interface ReloadView {
  readonly applied: Readonly<Record<string, string>>;
  readonly needRestart: Readonly<Record<string, string>>;
}

export interface RuntimeView {
  readonly startedAtMs: number;
  readonly workingDir: string;
  readonly hostname: string;
  /** Such as "always", "interval 1s" or "off". */
  readonly walSync: string;
}

export interface HttpOptions {
  readonly server: ServerOptions;
  /** Compressed bytes of one write request. */
  readonly bodyBytesMax: number;
  /** Of all write requests that are being received or handled at one time. */
  readonly bodyBytesInFlightMax: number;
  readonly query: {
    readonly timeoutMs: number;
    readonly lookbackDeltaMs: number;
    readonly textBytesMax: number;
    /** Steps of a range query, one less than its points. */
    readonly pointsMax: number;
  };
  /** Undefined: no metrics page. */
  readonly metricsPath: string | undefined;
}

export interface ServerOptions {
  /** From a request's first byte to the last of its body. */
  readonly readTimeoutMs: number;
  /** How long a client may take nothing of its answer. */
  readonly writeTimeoutMs: number;
  readonly connectionsMax: number;
}

export const DEFAULT_HTTP_OPTIONS: HttpOptions = {
  server: { readTimeoutMs: 30_000, writeTimeoutMs: 30_000, connectionsMax: 512 },
  bodyBytesMax: 8 * 1024 * 1024,
  bodyBytesInFlightMax: 64 * 1024 * 1024,
  query: { timeoutMs: 120_000, lookbackDeltaMs: 300_000, textBytesMax: 16 * 1024, pointsMax: 11_000 },
  metricsPath: "/metrics",
};
