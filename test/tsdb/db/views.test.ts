import { expect, test } from "vitest";
import { Views } from "../../../src/tsdb/db/views.ts";
import type { View } from "../../../src/tsdb/storage.ts";
import { rest } from "../../support/database.ts";

const view = (headFloorMs: number): View => ({ blocks: [], headFloorMs, missing: [] });
const never = new AbortController().signal;

/** Whether a promise has been kept by now. */
async function isDone(promise: Promise<void>): Promise<boolean> {
  let done = false;
  void promise.then(() => (done = true));
  await rest(1);
  return done;
}

test("a query keeps the view that it began with, those that begin later see the next", () => {
  const views = new Views(view(1));
  const early = views.acquire();
  views.publish(view(2));
  expect(early.view.headFloorMs).toBe(1);
  expect(views.acquire().view.headFloorMs).toBe(2);
  expect(views.current.headFloorMs).toBe(2);
});

test("who waits for older views waits for the last of their readers, and not for readers of newer ones", async () => {
  const views = new Views(view(1));
  const first = views.acquire();
  const second = views.acquire();
  views.publish(view(2));
  const third = views.acquire();
  const settled = views.settled(never);
  first.release();
  first.release();
  expect(await isDone(settled), "one reader is left").toBe(false);
  views.publish(view(3));
  const all = views.settled(never);
  second.release();
  expect(await isDone(settled)).toBe(true);
  expect(await isDone(all), "the second view is read").toBe(false);
  third.release();
  expect(await isDone(all)).toBe(true);
  expect(views.liveCount).toBe(1);
});

test("nothing is waited for where nobody reads, and a wait can be given up", async () => {
  const views = new Views(view(1));
  const held = views.acquire();
  expect(await isDone(views.settled(never))).toBe(true);
  views.publish(view(2));
  const closing = new AbortController();
  const settled = views.settled(closing.signal);
  closing.abort();
  await expect(settled).rejects.toMatchObject({ code: "CANCELED" });
  await expect(views.settled(closing.signal)).rejects.toMatchObject({ code: "CANCELED" });
  held.release();
});
