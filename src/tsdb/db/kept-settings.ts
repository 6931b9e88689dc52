/**
 * What was set while the database ran and holds over a restart: `<data>/state.json`. There is no such file before the
 * first time; one that cannot be read counts as none, and is said so in the log: a database must not fail to start over it.
 */
import { join } from "node:path/posix";
import { messageOf } from "../../base/errors.ts";
import type { Logger } from "../../base/logger.ts";
import { readWholeFile, replaceFile } from "../../base/replace-file.ts";
import type { Vfs } from "../../base/vfs.ts";
import { type Override, type RetentionKey, retentionKeys, type RetentionOverrides } from "./retention-policy.ts";

export interface KeptSettings {
  readonly isReadOnly: boolean;
  readonly retention: RetentionOverrides;
}

export const SETTINGS_FILE = "state.json";
const VERSION = 1;

export const NO_KEPT_SETTINGS: KeptSettings = { isReadOnly: false, retention: {} };

export async function saveSettings(vfs: Vfs, dataDir: string, kept: KeptSettings): Promise<void> {
  const text = `${JSON.stringify({ version: VERSION, readOnly: kept.isReadOnly, retention: kept.retention }, null, 2)}\n`;
  await replaceFile(vfs, join(dataDir, SETTINGS_FILE), new TextEncoder().encode(text));
}

/** @throws what the file system throws */
export async function loadSettings(vfs: Vfs, dataDir: string, log: Logger): Promise<KeptSettings> {
  const path = join(dataDir, SETTINGS_FILE);
  const bytes = await readWholeFile(vfs, path);
  if (bytes === undefined) return NO_KEPT_SETTINGS;
  try {
    return settingsOf(JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes)));
  } catch (thrown) {
    log.warn(
      { file: path, err: thrown },
      `What was set over the API is forgotten, ${SETTINGS_FILE} is damaged: ${messageOf(thrown)}`,
    );
    return NO_KEPT_SETTINGS;
  }
}

function settingsOf(json: unknown): KeptSettings {
  const { version, readOnly, retention } = fieldsOf(json);
  if (version !== VERSION) throw new Error(`its version is ${String(version)}, known is ${VERSION}`);
  if (typeof readOnly !== "boolean") throw new Error("readOnly is neither true nor false");
  const given = fieldsOf(retention);
  const overrides: Partial<Record<RetentionKey, Override>> = {};
  for (const key of retentionKeys) {
    if (given[key] === undefined) continue;
    const { value, insteadOf } = fieldsOf(given[key]);
    overrides[key] = { value: countOf(value), insteadOf: countOf(insteadOf) };
  }
  return { isReadOnly: readOnly, retention: overrides };
}

function fieldsOf(json: unknown): Record<string, unknown> {
  if (typeof json !== "object" || json === null) throw new Error("an object is missing");
  return json as Record<string, unknown>;
}

function countOf(value: unknown): number {
  if (typeof value !== "number" || !Number.isFinite(value) || value < 0) throw new Error("a number is missing");
  return value;
}
