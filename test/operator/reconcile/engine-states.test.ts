/** Engines are asked in rounds; only what has changed is news. */
import { expect, test } from "vitest";
import { EngineStates } from "../../../src/operator/reconcile/engine-states.ts";
import type { LivePod } from "../../../src/operator/reconcile/live.ts";
import type { EngineState } from "../../../src/operator/reconcile/members.ts";
import { ManualClock } from "../../support/clock.ts";
import { livePod } from "../support/live.ts";

function lab() {
  const pods = new Map<string, LivePod>();
  const answers = new Map<string, EngineState>();
  const news: string[] = [];
  let asked = 0;
  const states = new EngineStates({
    clock: new ManualClock(),
    intervalMs: 15_000,
    pods: () => Array.from(pods, ([owner, pod]) => ({ owner, pod })),
    ask: (address) => {
      asked++;
      const answer = answers.get(address);
      return answer === undefined ? Promise.reject(new Error("out of reach")) : Promise.resolve(answer);
    },
    onChange: (owner) => void news.push(owner),
  });
  return { pods, answers, news, states, asked: () => asked };
}

const writable = { state: "writable", configFileHash: "a" };

test("the first answer and each other one are news, and the same again is not", async () => {
  const { pods, answers, news, states } = lab();
  pods.set("m/a", livePod());
  answers.set("10.0.0.7", writable);
  expect(states.get(livePod())).toBeUndefined();
  for (let i = 0; i < 3; i++) await states.askAll();
  expect(news).toEqual(["m/a"]);
  expect(states.get(livePod())).toEqual(writable);
  answers.set("10.0.0.7", { ...writable, configFileHash: "b" });
  await states.askAll();
  answers.set("10.0.0.7", { state: "readonly-disk", configFileHash: "b" });
  await states.askAll();
  expect(news).toEqual(["m/a", "m/a", "m/a"]);
});

test("an answer that is lost changes nothing; three of them in a row do, and then it is asked less often", async () => {
  const { pods, answers, news, states, asked } = lab();
  pods.set("m/a", livePod());
  answers.set("10.0.0.7", writable);
  await states.askAll();
  answers.clear();
  for (let i = 0; i < 2; i++) await states.askAll();
  expect([states.get(livePod()), news.length]).toEqual([writable, 1]);
  await states.askAll();
  expect([states.get(livePod()), news.length]).toEqual([undefined, 2]);
  const before = asked();
  for (let i = 0; i < 100; i++) await states.askAll();
  expect(asked() - before).toBeLessThan(20);
  expect(news.length).toBe(2);
  answers.set("10.0.0.7", writable);
  for (let i = 0; i < 10; i++) await states.askAll();
  expect([states.get(livePod()), news.length]).toEqual([writable, 3]);
});

test("pods that do not run are not asked, and the successor of a pod begins with nothing", async () => {
  const { pods, answers, states, asked } = lab();
  answers.set("10.0.0.7", writable);
  pods.set("m/a", livePod({ phase: "Pending" }));
  await states.askAll();
  expect(asked()).toBe(0);
  pods.set("m/a", livePod());
  await states.askAll();
  const pod = livePod();
  const successor = { ...pod, metadata: { ...pod.metadata, uid: "another" } };
  pods.set("m/a", successor);
  expect(states.get(successor)).toBeUndefined();
  await states.askAll();
  expect([states.get(successor), states.get(pod)]).toEqual([writable, undefined]);
});
