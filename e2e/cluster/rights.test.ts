/** Rights that a database at work seldom needs, each used for what it was granted for, and with no others. */
import { expect } from "vitest";
import { silentLogger } from "../../src/base/logger.ts";
import { EventRecorder, QUIET_MS } from "../../src/operator/cluster/events.ts";
import { ManualClock } from "../../test/support/clock.ts";
import { ownClient } from "./api-server/own-client.ts";
import { field } from "./support/api.ts";
import { database, grantRights, SERVICE_ACCOUNT } from "./support/operator.ts";
import { test } from "./support/test-cluster.ts";

test("a budget that is left of more members goes, and one of somebody else's under the same name stays", async ({
  cluster,
}) => {
  const { api, namespace } = cluster;
  const budgetOf = (name: string, metadata: object) => ({
    apiVersion: "policy/v1",
    kind: "PodDisruptionBudget",
    metadata: { name, namespace, ...metadata },
    spec: { maxUnavailable: 1, selector: { matchLabels: { "tsdb.dev/database": name } } },
  });
  const operator = await cluster.startOperator({ flags: ["--installation=ours"] });
  const { apiVersion, kind, metadata } = await cluster.apply(database("metrics"));
  await cluster.apply(database("other"));
  const owner = {
    apiVersion,
    kind,
    name: metadata.name,
    uid: metadata.uid,
    controller: true,
    blockOwnerDeletion: true,
  };
  const ours = budgetOf("metrics", {
    labels: { "tsdb.dev/database": "metrics" },
    annotations: { "tsdb.dev/installation": "ours" },
    ownerReferences: [owner],
  });
  const theirs = budgetOf("other", { labels: { "tsdb.dev/database": "other" } });
  await api.apply(theirs);
  await api.apply(ours);
  await api.waitForAbsence({ apiVersion: "policy/v1", kind: ours.kind, name: "metrics", namespace });
  expect(await api.find({ apiVersion: "policy/v1", kind: ours.kind, name: "other", namespace })).toBeDefined();
  expect(operator.program.isRunning).toBe(true);
});

test("what happens again after ten minutes is counted on the event that is there", async ({ cluster }) => {
  const { api, namespace } = cluster;
  await grantRights(cluster);
  const clock = new ManualClock(Date.now());
  const kubeconfig = await cluster.serviceAccountKubeconfig(SERVICE_ACCOUNT);
  await using own = ownClient(cluster, { clock, kubeconfig });
  const outcomes: string[] = [];
  const onOutcome = (outcome: string) => outcomes.push(outcome);
  const recorder = new EventRecorder({
    client: own.client,
    instance: "it",
    clock,
    random: Math.random,
    log: silentLogger,
    onOutcome,
  });
  const { apiVersion, kind, metadata } = await cluster.apply(database("metrics"));
  const regarding = { apiVersion, kind, metadata: { name: metadata.name, namespace, uid: String(metadata.uid) } };
  for (let time = 0; time < 3; time++) {
    recorder.record({ regarding, type: "Normal", reason: "Repaired", action: "Apply", note: `time ${time}` });
    await recorder.flush();
    clock.advance(QUIET_MS);
  }
  expect(outcomes).toEqual(["sent", "sent", "sent"]);
  const events = await api.list("events.k8s.io/v1", "Event", namespace);
  const told = events.filter(({ reason }) => reason === "Repaired");
  expect(told.map((event) => field(event, "series.count"))).toEqual([3]);
});
