/**
 * A scrape target with everything that real ones have only now and then: counters that restart, series that come, go and
 * flap, scrapes that fail, special floats, histograms, odd label values, samples with times of their own.
 *
 * What it shows is a function of how often it was scraped, which is called the beat here, and never of the clock, but for
 * the one metric whose samples carry times: those count from the start.
 */
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";

/** During these beats the target answers 500: every series goes stale and comes back. */
const OUTAGE = { first: 130, last: 145 } as const;

/** How many beats show every part at least once. */
export const BEATS_MIN = 320;

export interface SyntheticTarget {
  readonly address: string;
  /** Scrapes of `/metrics` so far. */
  readonly beats: number;
  close(): Promise<void>;
}

/** Serves `/metrics`, and `/other`, which has a few of the same metrics and never fails. */
export async function startSyntheticTarget(): Promise<SyntheticTarget> {
  let beat = 0;
  let otherBeat = 0;
  // Ahead of the clock: remote write sends nothing that is older than its own start.
  let ownTimesStartMs: number | undefined;
  const server = createServer((request, response) => {
    ownTimesStartMs ??= Date.now() + 2000;
    const isOther = request.url === "/other";
    const shown = isOther ? otherBeat++ : beat++;
    const isOut = !isOther && shown >= OUTAGE.first && shown <= OUTAGE.last;
    response.statusCode = isOut ? 500 : 200;
    response.setHeader("content-type", "text/plain; version=0.0.4; charset=utf-8");
    response.end(isOut ? "out of order\n" : isOther ? requests(shown, 3) : page(shown, ownTimesStartMs));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    address: `127.0.0.1:${(server.address() as AddressInfo).port}`,
    get beats() {
      return beat;
    },
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

type Labels = Readonly<Record<string, string>>;

const page = (beat: number, startMs: number): string =>
  [
    requests(beat, 12),
    gauges(beat),
    specialValues(beat),
    comingAndGoing(beat),
    latency(beat),
    oddNames(beat),
    ownTimes(beat, startMs),
    pairs(beat),
  ].join("");

function line(name: string, labels: Labels, value: number | string, timeMs?: number): string {
  const pairsText = Object.entries(labels).map(([label, text]) => `${nameText(label)}="${escaped(text)}"`);
  const series = isPlain(name) ? `${name}{${pairsText.join(",")}}` : `{${[nameText(name), ...pairsText].join(",")}}`;
  return `${series} ${value}${timeMs === undefined ? "" : ` ${timeMs}`}\n`;
}

const isPlain = (name: string): boolean => /^[a-zA-Z_:][a-zA-Z0-9_:]*$/.test(name);
const nameText = (name: string): string => (isPlain(name) ? name : `"${escaped(name)}"`);
const escaped = (text: string): string => text.replace(/["\\]/g, "\\$&").replaceAll("\n", "\\n");
const type = (name: string, kind: string): string => `# TYPE ${name} ${kind}\n`;

/** 12 series a shard. Every third one restarts, each at beats of its own; some restart above zero. */
function requests(beat: number, shardCount: number): string {
  const lines: string[] = [type("synthetic_requests_total", "counter")];
  let series = 0;
  for (let shard = 0; shard < shardCount; shard++)
    for (const method of ["GET", "POST", "PUT", "DELETE"])
      for (const code of ["200", "404", "503"]) {
        series++;
        const period = series % 3 === 0 ? 17 + series : Infinity;
        const sinceRestart = period === Infinity ? beat : beat % period;
        const floor = series % 6 === 0 && beat >= period ? 3 : 0;
        lines.push(
          line(
            "synthetic_requests_total",
            { method, code, shard: String(shard) },
            floor + series * sinceRestart + Math.floor(sinceRestart ** 1.5),
          ),
        );
      }
  return lines.join("");
}

function gauges(beat: number): string {
  const waves: Readonly<Record<string, number>> = {
    sine: 20 * Math.sin(beat / 9),
    saw: (beat % 23) - 11,
    square: beat % 30 < 15 ? 1 : -1,
    falling: 1e6 - 3.7 * beat,
    constant: 42,
    steps: Math.floor(beat / 40),
    tenths: beat * 0.1,
    tiny: 1e-9 * (1 + (beat % 7)),
    huge: 1e17 + beat * 1e3,
    mixed: (beat % 2 === 0 ? 1e16 : -1e16) + (beat % 5),
  };
  const lines = Object.entries(waves).map(([wave, value]) => line("synthetic_wave", { wave }, value));
  // Distinct values, so that topk has one answer; the order of the series changes from beat to beat.
  for (let rank = 0; rank < 25; rank++)
    lines.push(
      line("synthetic_rank", { rank: String(rank), parity: rank % 2 === 0 ? "even" : "odd" }, (rank * 7 + beat) % 101),
    );
  return (
    type("synthetic_wave", "gauge") +
    lines.slice(0, 10).join("") +
    type("synthetic_rank", "gauge") +
    lines.slice(10).join("")
  );
}

/** No negative zero: Prometheus' sender leaves zeros out of its messages, whatever their sign. */
function specialValues(beat: number): string {
  const cases: Readonly<Record<string, number | string>> = {
    nan: "NaN",
    infinite: "+Inf",
    "negative infinite": "-Inf",
    denormal: "5e-324",
    largest: "1.7976931348623157e308",
    "NaN now and then": beat % 5 === 0 ? "NaN" : beat,
    "infinite now and then": beat % 7 === 0 ? "+Inf" : beat % 7 === 3 ? "-Inf" : beat,
    negative: -beat - 0.25,
  };
  return (
    type("synthetic_special", "gauge") +
    Object.entries(cases)
      .map(([name, value]) => line("synthetic_special", { case: name }, value))
      .join("")
  );
}

function comingAndGoing(beat: number): string {
  const lines: string[] = [];
  for (let id = 0; id < 8; id++) {
    const period = 6 + 5 * id;
    if (beat % (2 * period) < period) lines.push(line("synthetic_flapping", { id: String(id) }, beat + id));
  }
  if (beat < 80) lines.push(line("synthetic_early", {}, beat));
  if (beat >= 200) lines.push(line("synthetic_late_total", {}, 1000 + beat));
  if (beat === 100 || beat === 250) lines.push(line("synthetic_once_total", { beat: String(beat) }, 7));
  lines.push(line("synthetic_build_info", { version: `1.${Math.floor(beat / 90)}.0`, branch: "main" }, 1));
  return lines.join("");
}

const BUCKETS = ["0.005", "0.01", "0.025", "0.05", "0.1", "0.25", "0.5", "1", "2.5", "5", "10", "+Inf"];

function latency(beat: number): string {
  const lines = [type("synthetic_latency_seconds", "histogram")];
  for (const [i, handler] of ["/", "/api/v1/query", "/metrics"].entries()) {
    const sinceRestart = i === 1 ? beat % 110 : beat;
    BUCKETS.forEach((le, bucket) =>
      lines.push(
        line(
          "synthetic_latency_seconds_bucket",
          { handler, le },
          Math.floor((sinceRestart * (bucket + 1) * (i + 1)) / BUCKETS.length),
        ),
      ),
    );
    lines.push(line("synthetic_latency_seconds_sum", { handler }, sinceRestart * 0.037 * (i + 1)));
    lines.push(line("synthetic_latency_seconds_count", { handler }, sinceRestart * (i + 1)));
  }
  lines.push(type("synthetic_pause_seconds", "summary"));
  for (const quantile of ["0", "0.5", "0.99"])
    lines.push(line("synthetic_pause_seconds", { quantile }, beat < 20 ? "NaN" : Number(quantile) * (beat % 13)));
  lines.push(line("synthetic_pause_seconds_sum", {}, beat * 0.5), line("synthetic_pause_seconds_count", {}, beat));
  return lines.join("");
}

function oddNames(beat: number): string {
  const cities = [
    "Zürich",
    "東京",
    "🚀 base",
    'say "hi"\\n',
    "two\nlines",
    "tab\there",
    "<a href='x'>&</a>",
    " ",
    "__proto__",
    "10",
    "9",
  ];
  return [
    ...cities.map((city, i) => line("synthetic_city", { city, constructor: String(i % 3) }, beat + i)),
    line("synthetic_city", {}, beat),
    line("synthetic.dotted.name", { "label.with dots": "yes", plain: "no" }, beat * 2),
    line("synthetic.dotted.name", { "label.with dots": "ümlaut", plain: "no" }, -beat),
  ].join("");
}

/** Samples that say when they were taken: such series end without a stale marker. */
function ownTimes(beat: number, startMs: number): string {
  const timeMs = startMs + 300 * beat;
  return beat < 220
    ? line("synthetic_delayed_total", { from: "elsewhere" }, 11 * beat, timeMs) +
        (beat % 3 === 0 ? line("synthetic_delayed_total", { from: "far away" }, beat, timeMs - 1234) : "")
    : "";
}

/** Two vectors that match one to one, except where one of them has no partner. */
function pairs(beat: number): string {
  const lines: string[] = [];
  for (const host of ["a", "b", "c", "d"])
    for (const disk of ["sda", "sdb"]) {
      const weight = host.codePointAt(0)! + disk.codePointAt(2)!;
      if (host !== "d") lines.push(line("synthetic_disk_used_bytes", { host, disk }, 1000 + ((beat * weight) % 977)));
      if (host !== "a" || disk !== "sda")
        lines.push(line("synthetic_disk_size_bytes", { host, disk, model: `m${weight % 3}` }, 2000 + weight));
    }
  for (const host of ["a", "b", "c"]) lines.push(line("synthetic_host_up", { host }, beat % 11 === 0 ? 0 : 1));
  return lines.join("");
}
