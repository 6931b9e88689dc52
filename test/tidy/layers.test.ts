/**
 * Imports point one way, and only the edge touches the world. Every folder of src/ is a row of this table: what it may
 * import besides itself, packages included. A file that is in no row, or an import that no row allows, fails.
 */
import { expect, test } from "vitest";
import { filesLike, importsOf, read, withoutComments } from "./sources.ts";

interface Layer {
  /** Files of this layer; the first row that matches a file is its own. */
  readonly files: RegExp;
  /** Files it may import. */
  readonly imports: readonly RegExp[];
  /** Files of which it may import types only. */
  readonly types?: readonly RegExp[];
  /** Packages it may import. Modules of Node need no leave here, but see `doors`. */
  readonly packages?: readonly string[];
}

const base = /^src\/base\//;
const model = /^src\/tsdb\/model\//;
const kernel = /^src\/tsdb\/kernel\//;
const storage = /^src\/tsdb\/(storage|chunk-source)\.ts$/;
const promql = /^src\/tsdb\/promql\//;
const query = /^src\/tsdb\/query\//;
const config = /^src\/tsdb\/config(\/|\.ts$)/;
const version = /^src\/tsdb\/version\.ts$/;
const wal = /^src\/tsdb\/wal\//;
const head = /^src\/tsdb\/head\//;
const index = /^src\/tsdb\/index\//;
const block = /^src\/tsdb\/block\//;
const compact = /^src\/tsdb\/compact\//;
const maintenance = /^src\/tsdb\/maintenance\//;
const transfer = /^src\/tsdb\/(import|export|inspect)\//;
const db = /^src\/tsdb\/db(\/|\.ts$)/;
const http = /^src\/tsdb\/http\//;
const operatorApi = /^src\/operator\/api\//;
const desired = /^src\/operator\/desired\//;
const cluster = /^src\/operator\/cluster\//;

const layers: readonly Layer[] = [
  { files: /^src\/base\/logger-pino\.ts$/, imports: [base], packages: ["pino", "pino-pretty"] },
  { files: /^src\/base\/command\.ts$/, imports: [base], packages: ["commander"] },
  { files: base, imports: [base] },
  // Matchers are words of the model, and their regular expressions RE2.
  { files: model, imports: [base], packages: ["re2js"] },
  { files: /^src\/tsdb\/kernel\/assembly\//, imports: [kernel] },
  { files: kernel, imports: [base, model] },
  // The labels of a query are the query language's own table, and storage fills it.
  { files: storage, imports: [base, model], types: [kernel, /^src\/tsdb\/promql\/label-table\.ts$/] },
  { files: promql, imports: [base, model, kernel, storage], packages: ["re2js"] },
  { files: wal, imports: [base, model, kernel] },
  {
    files: head,
    imports: [base, model, kernel, wal, storage, /^src\/tsdb\/promql\/label-table\.ts$/],
    packages: ["re2js", "zod"],
  },
  { files: index, imports: [base, model] },
  {
    files: block,
    imports: [base, model, kernel, index, storage, /^src\/tsdb\/promql\/label-table\.ts$/],
    packages: ["zod"],
  },
  { files: compact, imports: [base, model, kernel, index, block, storage] },
  {
    files: maintenance,
    imports: [
      base,
      model,
      kernel,
      index,
      block,
      compact,
      head,
      storage,
      /^src\/tsdb\/promql\/(label-table|parser)\.ts$/,
    ],
  },
  // Data that comes from elsewhere, goes there, or is looked at: text, and blocks one by one.
  {
    files: transfer,
    imports: [
      base,
      model,
      kernel,
      index,
      block,
      compact,
      maintenance,
      storage,
      /^src\/tsdb\/promql\/(label-table|number-text|kernel-reader)\.ts$/,
    ],
  },
  { files: db, imports: [base, model, kernel, wal, block, compact, maintenance, head, storage] },
  { files: query, imports: [base, model, kernel, block, head, storage, promql], types: [db] },
  {
    files: http,
    // The states of a database are one table, which decides what is answered.
    imports: [base, model, storage, promql, query, version, /^src\/tsdb\/db\/states\.ts$/],
    types: [db, config],
    packages: ["fastify", "@fastify/formbody", "prom-client", "zod"],
  },
  { files: config, imports: [base], packages: ["yaml", "zod"] },
  { files: version, imports: [/^package\.json$/] },
  // The operator: what a resource is, what should be for it, what is there, and who brings the two together.
  { files: operatorApi, imports: [base], packages: ["zod"] },
  // The engine's settings are the engine's own table: what is written to its file is what it reads.
  { files: desired, imports: [base, operatorApi, config], types: [cluster], packages: ["yaml", "zod"] },
  { files: cluster, imports: [base], packages: ["@kubernetes/client-node", "undici", "prom-client"] },
  { files: /^src\/operator\/http\.ts$/, imports: [base], packages: ["prom-client"] },
  { files: /^src\/operator\/reconcile\//, imports: [base, operatorApi, desired, cluster] },
  // The operator's edge: command line, signals, rights.
  {
    files: /^src\/operator\/[^/]+\.ts$/,
    imports: [base, config, version, /^src\/operator\//],
    packages: ["commander", "prom-client", "undici", "yaml", "zod"],
  },
  // The edge: command line, signals, listening. It may use all there is.
  {
    files: /^src\/tsdb\/(cli\/|main\.ts$|server\.ts$|compose\.ts$)/,
    imports: [/^src\/(base|tsdb)\//],
    packages: ["commander", "fastify", "zod", "yaml"],
  },
];

const layerOf = (path: string): Layer | undefined => layers.find(({ files }) => files.test(path));
const sources = filesLike(/^src\/.*\.ts$/);

test("every source file belongs to a layer", () => {
  const strangers = sources.filter((path) => !layerOf(path));
  expect(strangers, "move these into a folder, or give them a row in the table of test/tidy/layers.test.ts").toEqual(
    [],
  );
});

test("imports point one way: a file imports only what its layer may", () => {
  const offences = sources.flatMap((path) => {
    const layer = layerOf(path);
    if (!layer) return [];
    return importsOf(path)
      .filter(({ specifier, path: imported, typeOnly }) => {
        if (specifier.startsWith("node:")) return false;
        if (imported === undefined) return !layer.packages?.includes(packageOf(specifier));
        if (layer.files.test(imported)) return false;
        const allowed = typeOnly ? [...layer.imports, ...(layer.types ?? [])] : layer.imports;
        return !allowed.some((pattern) => pattern.test(imported));
      })
      .map(({ specifier }) => `${path} imports ${specifier}`);
  });
  expect(offences, "hand it in as a parameter, move the noun down a layer, or argue for it in layers.test.ts").toEqual(
    [],
  );
});

const packageOf = (specifier: string): string => specifier.split("/", specifier.startsWith("@") ? 2 : 1).join("/");

/** Ways to the outside world, and the files that may use them: everything else is handed a Vfs, a Clock or a config. */
const doors = [
  {
    what: "the file system",
    use: /["'](?:node:)?fs(?:\/promises)?["']/,
    allowed:
      /^src\/(base\/(vfs|lock)\.ts|tsdb\/(cli\/|config(\/|\.ts$)|main\.ts|server\.ts|kernel\/load\.ts|version\.ts)|operator\/(program|run)\.ts)/,
    instead: "take a Vfs (src/base/vfs.ts)",
  },
  {
    what: "the clock",
    use: /(?:\bDate\.now\(|\bperformance\.now\(|new Date\(\)|(?<!\.)set(?:Timeout|Interval)\()/,
    allowed: /^src\/(base\/(clock|lock|logger-pino)\.ts|tsdb\/(cli\/|main\.ts|server\.ts|http\/limited-fastify\.ts))/,
    instead: "take a Clock (src/base/clock.ts)",
  },
  {
    what: "the environment",
    use: /\bprocess\.(?:env|argv|exit)\b/,
    allowed: /^src\/(tsdb\/(cli\/|config(\/|\.ts$)|main\.ts|version\.ts)|operator\/(main|run)\.ts)/,
    instead: "take what is needed as an option",
  },
  {
    what: "chance",
    use: /\bMath\.random\b/,
    allowed: /^src\/operator\/run\.ts$/,
    instead: "take a random source as an option",
  },
] as const;

test("only the edge touches the disk, the clock, the environment and chance", () => {
  const offences = sources.flatMap((path) => {
    const code = withoutComments(read(path)).split("\n");
    return doors
      .filter(({ allowed }) => !allowed.test(path))
      .flatMap(({ what, use, instead }) =>
        code.flatMap((line, i) =>
          use.test(line) && !line.includes("import type") ? [`${path}:${i + 1} uses ${what}: ${instead}`] : [],
        ),
      );
  });
  expect(offences).toEqual([]);
});
