/**
 * Deliberate faults: mistakes of the kind that an operator must not have, each as a change of one place of its sources, with
 * the tests that exist against it. A test that finds none of them guards nothing; main.ts holds the tests to it.
 */
import type { SourceChange } from "../support/changed-source.ts";

export interface DeliberateFault extends SourceChange {
  /** What the operator does wrong with it. */
  readonly what: string;
  /** A file of tests, one of which must fail: under test/operator, or under e2e/cluster where `test` names the test. */
  readonly caughtBy: string;
  /** Of a test that needs a real API server: its name. */
  readonly test?: string;
}

export const faults: readonly DeliberateFault[] = [
  {
    what: "a field that is not wanted any more stays in the object",
    file: "src/operator/reconcile/difference.ts",
    text: "if (desired[name] === undefined) dropped.push(pathOf(path, name));",
    instead: "if (desired[name] === undefined) continue;",
    caughtBy: "desired/desired.test.ts",
  },
  {
    what: "quantities are compared as texts, and 1000m is written over 1 for ever",
    file: "src/operator/reconcile/difference.ts",
    text: "if (desired !== live && !(place.isQuantity && isSameQuantity(desired, live))) changed.push(path);",
    instead: "if (desired !== live) changed.push(path);",
    caughtBy: "reconcile/difference.test.ts",
  },
  {
    what: "an object of somebody else's that is labelled as ours is taken over",
    file: "src/operator/reconcile/ownership.ts",
    text: "} else if (controller.uid !== uid) {",
    instead: "} else if (false) {",
    caughtBy: "reconcile/ownership.test.ts",
  },
  {
    what: "two installations write the same objects",
    file: "src/operator/reconcile/ownership.ts",
    text: "if (madeBy !== undefined && madeBy !== installation)",
    instead: "if (false)",
    caughtBy: "reconcile/ownership.test.ts",
  },
  {
    what: "a new template goes to all members at once",
    file: "src/operator/reconcile/rollout.ts",
    text: "if (isTemplateNew) return replicas - 1;",
    instead: "if (isTemplateNew) return 0;",
    caughtBy: "reconcile/rollout.test.ts",
  },
  {
    what: "the next member is replaced before the one before is ready",
    file: "src/operator/reconcile/rollout.ts",
    text: "pod.metadata.labels?.[REVISION_LABEL] === status.updateRevision &&\n        isPodReady(pod),",
    instead: "pod.metadata.labels?.[REVISION_LABEL] === status.updateRevision,",
    caughtBy: "reconcile/rollout.test.ts",
  },
  {
    what: "times of the status move at rest",
    file: "src/operator/reconcile/status.ts",
    text: "before?.status === status ? before.lastTransitionTime : secondTime(nowMs)",
    instead: "secondTime(nowMs)",
    caughtBy: "reconcile/status.test.ts",
  },
  {
    what: "a replaced volume is not told",
    file: "src/operator/reconcile/status.ts",
    text: "const uid = claim === undefined ? before : rememberedUid(claim, before, accepted);",
    instead: "const uid = claim?.metadata.uid;",
    caughtBy: "reconcile/status.test.ts",
  },
  {
    what: "a volume's file system that has yet to grow restarts the pod at once",
    file: "src/operator/reconcile/storage.ts",
    text: "if (leftMs <= 0) restart = pending.requested;",
    instead: "restart = pending.requested;\n      if (leftMs <= 0) continue;",
    caughtBy: "reconcile/storage.test.ts",
  },
  {
    what: "what the API server refuses is sent again and again",
    file: "src/operator/reconcile/refusals.ts",
    text: "isFinal ? Math.min(RETRY_MS_MAX, RETRY_MS_MIN * 2 ** Math.min(failures - 1, 16)) : 0",
    instead: "0",
    caughtBy: "reconcile/refusals.test.ts",
  },
  {
    what: "a field that a webhook sets back is written for ever",
    file: "src/operator/reconcile/unstable-fields.ts",
    text: "if (!field.isLeft && field.repairedMs.length < REPAIRS_MAX) return true;",
    instead: "return true;",
    caughtBy: "reconcile/unstable-fields.test.ts",
  },
  {
    what: "what changes while its database is worked on is not looked at again",
    file: "src/operator/reconcile/queue.ts",
    text: "if (state.isRunning) state.isDirty = true;\n    else this.#wait(key, state);\n  }\n\n  /** Asks for work on a key after",
    instead: "if (!state.isRunning) this.#wait(key, state);\n  }\n\n  /** Asks for work on a key after",
    caughtBy: "reconcile/queue.test.ts",
  },
  {
    what: "a volume is made smaller",
    file: "src/operator/desired/claims.ts",
    text: "compareQuantities(storage.size, size) > 0",
    instead: "compareQuantities(storage.size, size) !== 0",
    caughtBy: "desired/desired.test.ts",
  },
  {
    what: "volumes are deleted with their StatefulSet",
    file: "src/operator/desired/stateful-set.ts",
    text: '{ whenDeleted: "Retain", whenScaled: "Retain" }',
    instead: '{ whenDeleted: "Delete", whenScaled: "Retain" }',
    caughtBy: "desired/golden.test.ts",
  },
  {
    what: "every volume is deleted with its database",
    file: "src/operator/desired/claims.ts",
    text: 'database.spec.storage.whenDeleted === "Delete" &&',
    instead: "",
    caughtBy: "desired/desired.test.ts",
  },
  {
    what: "a newer operator brings every database to its own default image",
    file: "src/operator/desired/desired.ts",
    text: "return running ?? liveClaims.get(claimName(database, 0))?.metadata.annotations?.[IMAGE_ANNOTATION] ?? defaultImage;",
    instead: "return defaultImage;",
    caughtBy: "desired/desired.test.ts",
  },
  {
    what: "a newer operator rolls every database to its own template",
    file: "src/operator/desired/template-revision.ts",
    text: "return asBefore !== undefined && asBefore.hash === hash ? asBefore : build(builders.at(-1)!);",
    instead: "return build(builders.at(-1)!);",
    caughtBy: "desired/template-revision.test.ts",
  },
  {
    what: "a setting that the engine takes up by itself restarts the pods",
    file: "src/operator/desired/engine-file.ts",
    text: "    .filter(({ setting }) => !setting.reloadable)\n",
    instead: "",
    caughtBy: "desired/engine-file.test.ts",
  },
  {
    what: "a policy that lets nobody in lets everybody in",
    file: "src/operator/desired/access.ts",
    text: "...(allowFrom.length === 0 ? [] : [{ from: allowFrom,",
    instead: "...(false ? [] : [{ from: allowFrom,",
    caughtBy: "desired/desired.test.ts",
  },
  {
    what: "a database called tsdb reads its own Service's variables as settings",
    file: "src/operator/desired/pod-template.ts",
    text: "enableServiceLinks: false,",
    instead: "",
    caughtBy: "desired/desired.test.ts",
  },
  {
    what: "pods run with a root file system that they may write to",
    file: "src/operator/desired/pod-template.ts",
    text: "readOnlyRootFilesystem: true,",
    instead: "",
    caughtBy: "desired/pod-security.test.ts",
  },
  {
    what: "claims, StatefulSets and pods may be deleted",
    file: "src/operator/cluster/client.ts",
    text: "assert(DELETABLE.has(type), `the operator never deletes ${type.plural}`);",
    instead: "",
    caughtBy: "cluster/client.test.ts",
  },
  {
    what: "a write that waited for its connection is sent by a leader that has lost meanwhile",
    file: "src/operator/cluster/transport.ts",
    text: "if (!mayStart()) controller.abort(new NotLeading());",
    instead: "",
    caughtBy: "cluster/client.test.ts",
  },
  {
    what: "a server that names the time to come back is asked again before",
    file: "src/operator/cluster/transport.ts",
    text: "waitMs = error.retryAfterMs * (1 + random() / 10);",
    instead: "waitMs = RETRY_MS;",
    caughtBy: "cluster/client.test.ts",
  },
  {
    what: "a leader writes after its deadline",
    file: "src/operator/cluster/lease.ts",
    text: "clock.monotonicMs() - this.#renewedMs < renewDeadlineMs && clock.nowMs() - this.#renewedWallMs < renewDeadlineMs",
    instead: "renewDeadlineMs > 0",
    caughtBy: "cluster/lease.test.ts",
  },
  {
    what: "a lease is counted from when its renewal was answered",
    file: "src/operator/cluster/lease.ts",
    text: "this.#renewedMs = sentMs;\n    this.#renewedWallMs = sentWallMs;",
    instead: "this.#renewedMs = clock.monotonicMs();\n    this.#renewedWallMs = clock.nowMs();",
    caughtBy: "cluster/lease.test.ts",
  },
  {
    what: "a watch whose version has expired is opened from that version for ever",
    file: "src/operator/cluster/reflector.ts",
    text: 'if (error.isGone) this.#relist("gone");',
    instead: "if (error.isGone) return;",
    caughtBy: "cluster/reflector.test.ts",
  },
  {
    what: "a watch that has gone silent is listened to for ever",
    file: "src/operator/cluster/reflector.ts",
    text: 'if (leftMs <= 0) end("silent");\n      else timer',
    instead: "if (leftMs > 0) timer",
    caughtBy: "cluster/reflector.test.ts",
  },
  {
    what: "an old state of an object replaces what has just been written",
    file: "src/operator/cluster/store.ts",
    text: "if (known !== undefined && !isNewer(object, known.object)) return;",
    instead: "",
    caughtBy: "cluster/store.test.ts",
  },
  {
    what: "the same event is sent again and again",
    file: "src/operator/cluster/events.ts",
    text: 'if (nowMs - story.toldMs < QUIET_MS) return onOutcome("repeated");',
    instead: "",
    caughtBy: "cluster/events.test.ts",
  },
  {
    what: "the status is written though it says nothing new",
    file: "src/operator/reconcile/reconcile.ts",
    text: "if (isSameStatus(status, previous)) return;",
    instead: "",
    caughtBy: "reconcile/pods.test.ts",
    test: "an operator that is started again, or killed and started again, writes nothing",
  },
  {
    what: "pods are started on somebody else's volume",
    file: "src/operator/reconcile/reconcile.ts",
    text: "if (isSet && notInPlace.length > 0) {",
    instead: "if (false) {",
    caughtBy: "reconcile/objects.test.ts",
    test: "objects of somebody else's under our names are left alone, and told",
  },
  {
    what: "a volume is grown only once its pod is well, which a full disk keeps it from",
    file: "src/operator/reconcile/reconcile.ts",
    text: "const isSet = typeOf(object) === RESOURCES.statefulSet;",
    instead:
      "const isSet = typeOf(object) === RESOURCES.statefulSet;\n" +
      "      const isIll = this.#members(database).some(({ pod }) => pod !== undefined && !isPodReady(pod));\n" +
      "      if (typeOf(object) === RESOURCES.persistentVolumeClaim && isIll) continue;",
    caughtBy: "reconcile/storage.test.ts",
    test: "a database that crashes because its disk is full is grown all the same",
  },
  {
    what: "the operator takes longer names than the API server",
    file: "src/operator/api/schema.ts",
    text: "export const NAME_LENGTH_MAX = 40;",
    instead: "export const NAME_LENGTH_MAX = 41;",
    caughtBy: "api/agreement.test.ts",
    test: "the API server and the operator take the same names",
  },
];
