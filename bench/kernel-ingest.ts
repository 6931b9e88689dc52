/**
 * `node bench/kernel-ingest.ts`: what ingest costs inside the kernel, without HTTP and disk, stage by stage: nanoseconds of
 * CPU per sample of known series, and samples a second of one core.
 *   --series N             active series (default 50,000)
 *   --request-sizes A,B    samples a request (default 100,500,2000)
 *   --scrapes N            measured after the first, which makes the series (default 40)
 *
 * Stages cannot be timed apart inside one call, so each is the difference of two measurements of the same bodies:
 *   snappy           decoding alone
 *   walk, hash, find a request whose samples are all there already, less snappy
 *   append           a request into a head without log, less that
 *   log              a request into a head with log, less that: record, checksum, rows kept until they are durable
 * CPU time is used, and the median over scrapes, so that other work on the machine does little harm.
 */
import { parseArgs } from "node:util";
import { HeadMemory } from "../src/tsdb/kernel/head-memory.ts";
import { loadKernelModule } from "../src/tsdb/kernel/load.ts";
import { median } from "./support/statistics.ts";
import { nodeExporter } from "./workloads/node-exporter.ts";
import { type RequestBody, Workload } from "./workloads/write-requests.ts";

const { values: flags } = parseArgs({
  options: {
    series: { type: "string", default: "50000" },
    "request-sizes": { type: "string", default: "100,500,2000" },
    scrapes: { type: "string", default: "40" },
  },
});
const START_MS = Date.UTC(2026, 0, 1);
const DURABLE_EVERY_BYTES = 1 << 20;
const BYTES_MAX = 2 ** 25;

class BenchedHead {
  readonly memory: HeadMemory;

  constructor(walEnabled: boolean) {
    this.memory = HeadMemory.create(loadKernelModule(), new Uint8Array(16), {
      bodyBytesMax: BYTES_MAX,
      decodedBytesMax: BYTES_MAX,
    });
    const { at } = this.memory;
    this.memory.setI64(at.H_MEMORY_BYTES_MAX, 2 ** 32);
    this.memory.setI64(at.H_RETENTION_MS, 2 ** 40);
    this.memory.setU32(at.H_SERIES_PER_REQUEST_MAX, 50_000);
    this.memory.setU32(at.H_LABELS_PER_SERIES_MAX, 40);
    this.memory.setU32(at.H_LABEL_NAME_BYTES_MAX, 256);
    this.memory.setU32(at.H_LABEL_VALUE_BYTES_MAX, 4096);
    this.memory.setU32(at.H_CHUNK_FILE_BYTES_MAX, 2 ** 27);
    this.memory.setU32(at.H_WAL_ENABLED, walEnabled ? 1 : 0);
  }

  decode(bodies: readonly RequestBody[]): void {
    const { kernel, memory } = this;
    const source = memory.u32(memory.at.H_BODY);
    const target = memory.u32(memory.at.H_DECODED);
    for (const { body } of bodies) {
      memory.bytes.set(body, source);
      if (kernel.snappyDecode(source, body.length, target, BYTES_MAX) < 0) throw new Error("malformed");
    }
  }

  ingest(bodies: readonly RequestBody[], nowMs: number): void {
    const { kernel, memory } = this;
    const { at } = memory;
    const source = memory.u32(at.H_BODY);
    for (const { body, sampleCount } of bodies) {
      memory.bytes.set(body, source);
      const code = kernel.ingestSnappy(body.length, nowMs);
      if (code !== 0 || memory.u32(at.H_ACCEPTED) !== sampleCount) throw new Error(`The kernel answered ${code}`);
      if (memory.u32(at.H_WAL_USED) < DURABLE_EVERY_BYTES) continue;
      kernel.takeRecords();
      kernel.setSynced(BigInt(memory.i64(at.H_WAL_SEQUENCE)));
    }
    while (kernel.sealTake(2n ** 60n, 0) >= 0) kernel.sealRelease();
  }

  get kernel(): HeadMemory["kernel"] {
    return this.memory.kernel;
  }
}

const cpuMs = (work: () => void): number => {
  const before = process.cpuUsage();
  work();
  const { user, system } = process.cpuUsage(before);
  return (user + system) / 1000;
};

function measure(seriesCount: number, samplesPerRequest: number, scrapes: number): void {
  const workload = new Workload({
    population: nodeExporter,
    targetCount: Math.max(1, Math.round(seriesCount / nodeExporter.series.length)),
    startMs: START_MS,
  });
  const heads = { logging: new BenchedHead(true), plain: new BenchedHead(false) };
  const stages = {
    create: [] as number[],
    snappy: [] as number[],
    known: [] as number[],
    plain: [] as number[],
    logging: [] as number[],
  };
  for (let scrape = 0; scrape <= scrapes; scrape++) {
    const bodies = [...workload.nextScrape({ samplesPerRequest })];
    const nowMs = workload.newestMs;
    const perSample = (ms: number): number => (ms * 1e6) / workload.seriesCount;
    const logging = perSample(cpuMs(() => heads.logging.ingest(bodies, nowMs)));
    if (scrape === 0) stages.create.push(logging);
    else stages.logging.push(logging);
    const plain = perSample(cpuMs(() => heads.plain.ingest(bodies, nowMs)));
    if (scrape > 0) stages.plain.push(plain);
    stages.known.push(perSample(cpuMs(() => heads.logging.ingest(bodies, nowMs))));
    stages.snappy.push(perSample(cpuMs(() => heads.logging.decode(bodies))));
  }
  const ns = Object.fromEntries(Object.entries(stages).map(([stage, all]) => [stage, median(all)])) as Record<
    keyof typeof stages,
    number
  >;
  const row = {
    series: workload.seriesCount,
    "samples/request": samplesPerRequest,
    "new series": ns.create.toFixed(0),
    snappy: ns.snappy.toFixed(0),
    "walk, hash, find": (ns.known - ns.snappy).toFixed(0),
    append: (ns.plain - ns.known).toFixed(0),
    log: (ns.logging - ns.plain).toFixed(0),
    "all, ns/sample": ns.logging.toFixed(0),
    "M samples/s": (1000 / ns.logging).toFixed(2),
  };
  console.log(
    Object.entries(row)
      .map(([name, value]) => `${name} ${value}`)
      .join(" · "),
  );
}

for (const samplesPerRequest of flags["request-sizes"].split(",").map(Number))
  measure(Number(flags.series), samplesPerRequest, Number(flags.scrapes));
