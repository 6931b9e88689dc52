/**
 * The engine's configuration file, made from a spec. Only settings that the engine has, each read by the engine's own
 * schema before it is written: a file that the engine would refuse never reaches a pod.
 */
import { formatDurationMs, parseDurationMs } from "../../base/duration.ts";
import { assert } from "../../base/assert.ts";
import { allSettings, textHash, toYaml } from "../../tsdb/config.ts";
import { engineKeys } from "../api/engine-config.ts";
import { quantityBytes } from "../api/quantity.ts";
import type { Spec } from "../api/schema.ts";
import { DATA_DIR, HTTP_PORT, PROBE_PORT } from "./names.ts";

export interface EngineFile {
  readonly text: string;
  /** Of the text, as the engine says it in /-/state once it has read it. */
  readonly hash: string;
  /** Of the settings that only a restart brings into force. */
  readonly restartHash: string;
  /** Values that the engine would refuse, each a sentence that begins with the field. */
  readonly problems: readonly string[];
}

interface Line {
  /** As in the file. */
  readonly key: string;
  readonly text: string;
  /** Where the spec says it; absent, where the operator does. */
  readonly field?: string;
}

const RETENTION_TIME = "30d";
const RETENTION_SIZE = "80%";

/** The engine's bounds; who asks for more wants to keep everything. */
const RETENTION_MS_MAX = 36_525 * 86_400_000;
const RETENTION_BYTES_MAX = 1024n * 1024n ** 4n;

const HEADER = "# Made from the TimeSeriesDB by tsdb-operator: change it there.\n";

export function engineFile(spec: Spec): EngineFile {
  const lines = [...fixedLines, ...retentionLines(spec), ...modeLines(spec), ...configLines(spec)];
  const problems: string[] = [];
  const values = allSettings.flatMap((setting) => {
    const line = lines.find(({ key }) => key === setting.key);
    if (line === undefined) return [];
    const parsed = setting.kind.schema.safeParse(line.text);
    if (parsed.success) return [{ setting, text: setting.kind.format(parsed.data) }];
    assert(line.field !== undefined, `the engine takes ${line.key}: ${line.text}`);
    problems.push(`${line.field} is ${JSON.stringify(line.text)}: expected ${setting.kind.expected}`);
    return [];
  });
  assert(values.length + problems.length === lines.length, "every key is a setting of the engine");
  const text = HEADER + toYaml(values);
  const needRestart = values
    .filter(({ setting }) => !setting.reloadable)
    .map(({ setting, text: value }) => [setting.key, value]);
  return { text, hash: textHash(text), restartHash: textHash(JSON.stringify(needRestart)), problems };
}

/** What pods, Services and probes rely on is said even where it is the default. */
const fixedLines: readonly Line[] = [
  { key: "server.listen", text: `:${HTTP_PORT}` },
  { key: "server.probe_listen", text: `:${PROBE_PORT}` },
  { key: "storage.data_dir", text: DATA_DIR },
  { key: "managed", text: "true" },
];

function retentionLines({ retention }: Spec): readonly Line[] {
  const ms = Math.min(parseDurationMs(retention?.time ?? RETENTION_TIME) ?? RETENTION_MS_MAX, RETENTION_MS_MAX);
  const time = { key: "storage.retention", text: formatDurationMs(ms) };
  const size = retention?.size ?? RETENTION_SIZE;
  if (size.endsWith("%")) return [time, { key: "storage.retention_percent", text: size.slice(0, -1) }];
  const bytes = quantityBytes(size);
  return [
    time,
    { key: "storage.retention_size", text: String(bytes < RETENTION_BYTES_MAX ? bytes : RETENTION_BYTES_MAX) },
  ];
}

const modeLines = ({ mode }: Spec): readonly Line[] =>
  mode === "ReadOnly" ? [{ key: "storage.read_only", text: "true" }] : [];

const configLines = ({ config }: Spec): readonly Line[] =>
  Object.entries(config ?? {}).flatMap(([name, value]) =>
    value === undefined
      ? []
      : [
          {
            key: engineKeys[name as keyof typeof engineKeys].setting,
            text: String(value),
            field: `spec.config.${name}`,
          },
        ],
  );
