/**
 * The entry of a query worker: a thread that reads the head through the shared memory and blocks from their files, and
 * computes in a memory of its own.
 *
 *   shared memory ──HeadStorage───┐
 *                                 ├─MergedStorage: select, join, copy chunks──▶ PrivateMemory ──engine──▶ JSON
 *   files of blocks ─BlockStorage─┘
 */
import { systemClock, type Timer } from "../../base/clock.ts";
import { realVfs } from "../../base/vfs.ts";
import { BlockStorage } from "../block/block-storage.ts";
import { HeadStorage } from "../head/head-storage.ts";
import type { QueryBudget } from "../promql/budget.ts";
import { executeInstant, executeRange } from "../promql/engine.ts";
import { formatExpression } from "../promql/format.ts";
import { KernelReader } from "../promql/kernel-reader.ts";
import { parseExpression, parseSeriesSelector } from "../promql/parser.ts";
import { PrivateMemory } from "../kernel/private-memory.ts";
import { renderJson } from "../promql/result-json.ts";
import type { Storage } from "../storage.ts";
import { MergedStorage } from "./merged-storage.ts";
import { labelNames, labelValues, series } from "./metadata.ts";
import type { QueryJob, Selection } from "./protocol.ts";
import { serveQueries } from "./worker-loop.ts";
import type { JobRunner } from "./worker-loop.ts";

/** Memory that a query leaves behind serves the next one, unless it is larger than this. */
const KEPT_BYTES_MAX = 64 * 1024 * 1024;

/** A worker that had nothing to do for so long lets go of its blocks: deleted ones keep their place on the disk till then. */
const IDLE_MS = 60_000;

serveQueries(({ attachment, blocks: { dir, cacheBytesMax } }, onDamage): JobRunner => {
  const head = new HeadStorage(attachment);
  const blocks = new BlockStorage({ vfs: realVfs, blocksDir: dir, cacheBytesMax, onDamage });
  let memory = new PrivateMemory(attachment.module);
  let idle: Timer | undefined;

  return function* run(job, budget, view) {
    try {
      const sources = [...blocks.sources(view.blocks), head.source(view.headFloorMs)];
      const storage = new MergedStorage(sources, view.missing);
      yield* answer(job, budget, { head, storage }, memory);
    } finally {
      idle?.cancel();
      idle = systemClock.after(IDLE_MS, () => blocks.close());
      if (memory.sizeBytes > KEPT_BYTES_MAX) memory = new PrivateMemory(attachment.module);
    }
  };
});

function answer(
  job: QueryJob,
  budget: QueryBudget,
  { head, storage }: { readonly head: HeadStorage; readonly storage: Storage },
  memory: PrivateMemory,
): Iterable<Uint8Array<ArrayBuffer>> {
  switch (job.kind) {
    case "instant":
    case "range": {
      const environment = { storage, samples: new KernelReader(memory, budget), budget };
      const query = { ...job, lookbackMs: job.lookbackDeltaMs };
      return renderJson(
        query.kind === "instant" ? executeInstant(query, environment) : executeRange(query, environment),
      );
    }
    case "format":
      return [jsonOf({ status: "success", data: formatExpression(parseExpression(job.query)) })];
    case "cardinality":
      return [jsonOf(head.cardinality(job.limit, budget))];
    case "series":
      return series(storage, budget, withMatchers(job));
    case "labels":
      return labelNames(storage, budget, withMatchers(job));
    case "labelValues":
      return labelValues(storage, budget, job.name, withMatchers(job));
  }
}

const jsonOf = (value: unknown): Uint8Array<ArrayBuffer> => Buffer.from(JSON.stringify(value));

const withMatchers = ({ selectors, startMs, endMs, limit }: Selection) => ({
  selectors: selectors.map(parseSeriesSelector),
  startMs,
  endMs,
  limit,
});
