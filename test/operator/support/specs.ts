/**
 * Specs to hold the schema and the CRD against: valid ones with any of the optional fields, and the same with one field that
 * is nearly right. A near miss says nothing of itself: whether it is refused is what the two are asked.
 */
import fc from "fast-check";

/** As it is written to a file: nothing is checked yet. */
export type RawSpec = Readonly<Record<string, unknown>>;

const fields = (of: Record<string, fc.Arbitrary<unknown>>): fc.Arbitrary<RawSpec> =>
  fc.record(of, { requiredKeys: [] });
const oneOf = (...values: readonly unknown[]) => fc.constantFrom(...values);
const dictionary = (keys: readonly string[], value: fc.Arbitrary<unknown>) =>
  fields(Object.fromEntries(keys.map((key) => [key, value])));

const duration = oneOf("30s", "1h30m", "15d", "1m", "500ms", "2h");
const size = oneOf("64MB", "256MiB", "512mb", "134217728", "64m");
const quantity = oneOf("10Gi", "1.5Ti", "500M", "1e11", "20000000000", "+5Gi", ".5Gi", "1000000000000m");

const config = fields({
  memtableSize: size,
  outOfOrderWindow: duration,
  walSync: oneOf("always", "interval"),
  walSyncInterval: duration,
  walSegmentSize: size,
  compactionInterval: duration,
  compactionConcurrency: fc.integer({ min: 1, max: 64 }),
  queryTimeout: duration,
  queryMaxConcurrency: fc.integer({ min: 1, max: 1024 }),
  queryMaxSamples: fc.integer({ min: 1, max: 1_000_000_000 }),
  queryMaxSeries: fc.integer({ min: 1, max: 1_000_000_000 }),
  queryMaxMemory: size,
  maxLabelsPerSeries: fc.integer({ min: 1, max: 1000 }),
  maxLabelNameLength: fc.integer({ min: 1, max: 65_535 }),
  maxLabelValueLength: fc.integer({ min: 1, max: 65_535 }),
  maxSeriesPerRequest: fc.integer({ min: 1, max: 50_000 }),
  logLevel: oneOf("debug", "info", "warn", "error"),
  logFormat: oneOf("json", "text"),
});

const env = fc.uniqueArray(fc.record({ name: oneOf("A", "B"), value: oneOf("1", "") }), {
  selector: ({ name }) => name,
});

const podTemplate = fields({
  metadata: fields({
    labels: dictionary(["team", "example.com/tier"], oneOf("a", "b", "")),
    annotations: dictionary(["note", "example.com/note"], oneOf("text", "")),
  }),
  spec: fields({
    nodeSelector: dictionary(["env", "pool"], oneOf("a", "b")),
    priorityClassName: oneOf("system-cluster-critical"),
    tolerations: fc.array(fc.record({ key: oneOf("a", "b"), operator: oneOf("Exists") }), { maxLength: 2 }),
    terminationGracePeriodSeconds: fc.integer({ min: 0, max: 600 }),
    containers: fc
      .tuple(fields({ env }), fc.option(fc.record({ image: oneOf("sidecar:1", "sidecar:2"), env }), { nil: undefined }))
      .map(([database, sidecar]) => [
        { name: "tsdb", ...database },
        ...(sidecar === undefined ? [] : [{ name: "sidecar", ...sidecar }]),
      ]),
  }),
});

/** The optional fields of a spec, each with values that are right. */
export const optionalFields: Readonly<Record<string, fc.Arbitrary<unknown>>> = {
  image: oneOf("registry.example/tsdb:1", "tsdb@sha256:0123"),
  imagePullSecrets: fc
    .uniqueArray(oneOf("a", "registry.example", "b-1"), { maxLength: 2 })
    .map((names) => names.map((name) => ({ name }))),
  replicas: fc.constant(1),
  mode: oneOf("Running", "ReadOnly", "Stopped"),
  paused: fc.boolean(),
  retention: fields({ time: duration, size: oneOf("80%", "1%", "99%", "70Gi", "500G", ".5Ti") }),
  // In spellings of all kinds; the API server takes no request above its limit.
  resources: fields({
    requests: fields({ cpu: oneOf("500m", "1", 0, "1000m", ".5"), memory: oneOf("1Gi", "1024Mi", 1_000_000, "0.5Gi") }),
    limits: fields({ cpu: oneOf(2, "2000m", "1.5"), memory: oneOf("2Gi", "2048Mi", 4_000_000_000) }),
  }),
  config,
  service: fields({
    type: oneOf("ClusterIP", "NodePort", "LoadBalancer"),
    annotations: dictionary(["a", "b.c/d"], oneOf("1", "")),
  }),
  serviceAccount: fields({ annotations: dictionary(["a", "b.c/d"], oneOf("1", "")) }),
  network: fields({
    allowFrom: fc.array(
      oneOf(
        { podSelector: {} },
        { ipBlock: { cidr: "10.0.0.0/8" } },
        { namespaceSelector: { matchLabels: { a: "b" } } },
      ),
      { maxLength: 3 },
    ),
  }),
  monitoring: fields({ serviceMonitor: fc.boolean(), labels: dictionary(["release", "team"], oneOf("a", "")) }),
  podTemplate,
};

const storage = fc.record(
  {
    size: quantity,
    className: oneOf("fast", "", "a.b-c"),
    whenDeleted: oneOf("Retain", "Delete"),
  },
  { requiredKeys: ["size"] },
);

export const validSpecs: fc.Arbitrary<RawSpec> = fc
  .tuple(storage, fields({ ...optionalFields }))
  .map(([of, rest]) => ({ storage: of, ...rest }));

/** One field, and values around the edge of what it may be. */
const nearMisses: readonly (readonly [path: string, values: readonly unknown[]])[] = [
  ["image", ["", "x".repeat(512), "x".repeat(513), "a b", "ä", "\u{1f600}".repeat(300), 7, null]],
  [
    "imagePullSecrets",
    [
      [{ name: "" }],
      [{ name: "a" }, { name: "a" }],
      [{ name: "A" }],
      [{ name: "a_b" }],
      [{ name: "-a" }],
      [{}],
      {},
      [{ name: "a.".repeat(9) }],
    ],
  ],
  ["replicas", [0, 1, 2, 32, 33, 1.5, "1", null, -1]],
  ["mode", ["", "running", "Stopped ", 1]],
  ["paused", ["false", 0, null]],
  ["storage", [null, {}, "10Gi", []]],
  [
    "storage.size",
    [
      "",
      "0",
      "0Gi",
      "-1Gi",
      "0.0",
      "0e5",
      "1Qi",
      "10 Gi",
      "10gi",
      "1Gi ",
      10,
      "1e100",
      "1e-9",
      ".",
      "+.5",
      "1E",
      "1n",
      "00001Gi",
      "9".repeat(33),
      "1.",
      "1.Gi",
      null,
    ],
  ],
  ["storage.className", ["A", "a_b", "-a", "a-", "x".repeat(253), "x".repeat(254), 1, null]],
  ["storage.whenDeleted", ["delete", "", "Keep"]],
  ["storage.autoGrow", [{}, { above: 85 }, "yes", null]],
  ["retention", [{}, "30d", null]],
  [
    "retention.time",
    ["", "0s", "0d0h", "30", "30 d", "1h1d", "1y", "99y", "100y", "1w", "1ms", "d", "30D", "-1d", "123456h", 30, null],
  ],
  [
    "retention.size",
    ["", "0%", "100%", "99%", "09%", "80 %", "0Gi", "00", "0.0", "1k", "1n", "1e10", "5", "10", "+1Gi", 80, null],
  ],
  [
    "resources.requests",
    [
      { cpu: -1 },
      { cpu: 1.5 },
      { cpu: "" },
      { cpu: "1x" },
      { cpu: "-1" },
      { cpu: null },
      { gpu: "1" },
      { cpu: true },
      [],
    ],
  ],
  ["resources.limits", [{ memory: "1Gi " }, { memory: "1.5Gi" }, { memory: "0" }, { memory: {} }]],
  ["config.memtableSize", ["", "1", "0", "5GB", "5TB", "1.5GB", "1.2345GB", "256 MB", "x", 256, "-1MB"]],
  ["config.outOfOrderWindow", ["0", "0s", "1w", "1y", "1h", "s", "", 60]],
  ["config.walSync", ["never", "Always", ""]],
  ["config.compactionConcurrency", [0, 64, 65, 1.5, "2", null]],
  ["config.queryMaxConcurrency", [0, 1024, 1025]],
  ["config.queryMaxSamples", [0, 1_000_000_000, 1_000_000_001, 2 ** 53]],
  ["config.maxLabelsPerSeries", [0, 1000, 1001]],
  ["config.maxSeriesPerRequest", [0, 50_000, 50_001]],
  ["config.logLevel", ["trace", "INFO"]],
  ["config.unknownSetting", ["1"]],
  ["tls", [{}, { secretName: "a" }, null, "a"]],
  ["auth", [{}, { secretName: "a" }, null]],
  ["service.type", ["ExternalName", "", "clusterip"]],
  [
    "service.annotations",
    [
      { a: 1 },
      { a: null },
      { a: "x".repeat(4096) },
      { a: "x".repeat(4097) },
      { a: "\u{1f600}".repeat(3000) },
      { a: "\u{1f600}".repeat(4097) },
      [],
    ],
  ],
  [
    "network.allowFrom",
    [[1], ["a"], [null], {}, Array.from({ length: 64 }, () => ({})), Array.from({ length: 65 }, () => ({}))],
  ],
  [
    "monitoring.labels",
    [{ a: "x".repeat(63) }, { a: "x".repeat(64) }, { a: "-x" }, { a: "x y" }, { a: null }, { a: 1 }],
  ],
  ["monitoring.serviceMonitor", ["true", 1]],
  ["backups", [[], [{}], {}, null]],
  ["restore", [{}, { id: "a" }, null]],
  ["debug", [{}, null, { hold: [] }, { hold: [0] }, { hold: [-1] }, { hold: ["0"] }, { other: 1 }]],
  ["podTemplate", [[], "a", null, { anything: { goes: [1, null, "x"] } }]],
  ["unknownField", [1, {}]],
];

/** How often each near miss is drawn is even: a rule that is broken in one way only is still tried. */
export const nearMissCount = nearMisses.reduce((sum, [, values]) => sum + values.length, 0);

/** @param index below `nearMissCount` */
export function nearMiss(spec: RawSpec, index: number): RawSpec {
  let rest = index;
  for (const [path, values] of nearMisses) {
    if (rest < values.length) return withField(spec, path.split("."), values[rest]);
    rest -= values.length;
  }
  throw new RangeError(`there are ${nearMissCount} near misses`);
}

function withField(object: RawSpec, [name, ...below]: readonly string[], value: unknown): RawSpec {
  const inner = object[name!];
  const next =
    below.length === 0 ? value : withField(typeof inner === "object" ? (inner as RawSpec) : {}, below, value);
  return { ...object, [name!]: next };
}

/** Names, right and nearly. */
export const names: readonly string[] = [
  "metrics",
  "tsdb",
  "a",
  "a-1",
  "x".repeat(40),
  "x".repeat(41),
  "1a",
  "-a",
  "a-",
  "a.b",
  "A",
  "a_b",
];
