import fc from "fast-check";
import { expect, test } from "vitest";
import { at, built, one, templateOf } from "../support/databases.ts";
import { restrictedViolations, type PodSpec } from "../support/pod-security.ts";
import { validSpecs } from "../support/specs.ts";

const seed = Number(process.env["SEED"] ?? Date.now() % 2 ** 31);

const podOf = (spec: object): PodSpec => templateOf(built(spec)).spec;

test("whatever a spec says, its pods are admitted where Pod Security is restricted", () => {
  fc.assert(
    // What users add of their own is theirs to restrict.
    fc.property(validSpecs, (spec) => {
      expect(restrictedViolations(podOf({ ...spec, podTemplate: {} }))).toEqual([]);
    }),
    { seed, numRuns: 200 },
  );
});

test("the root file system is read-only, the user nobody's, and no token is at hand", () => {
  const pod = podOf({});
  expect(pod).toMatchObject({
    automountServiceAccountToken: false,
    securityContext: { runAsUser: 65_532, fsGroup: 65_532 },
    containers: [{ name: "tsdb", securityContext: { readOnlyRootFilesystem: true } }],
  });
  expect(at(one(built(), "ServiceAccount"), "automountServiceAccountToken")).toBe(false);
});

test("each rule of the standard is seen by the check that stands for it", () => {
  const plain = podOf({});
  const [container] = plain.containers;
  const within = (securityContext: object) => ({
    ...plain,
    containers: [{ ...container!, securityContext: { ...container!.securityContext, ...securityContext } }],
  });
  for (const [pod, what] of [
    [{ ...plain, hostNetwork: true }, "host namespaces"],
    [{ ...plain, volumes: [{ name: "x", hostPath: {} }] }, "volume x"],
    [{ ...plain, securityContext: {} }, "tsdb: seccompProfile"],
    [within({ privileged: true }), "tsdb: privileged"],
    [within({ allowPrivilegeEscalation: true }), "tsdb: allowPrivilegeEscalation"],
    [within({ runAsNonRoot: false }), "tsdb: runAsNonRoot"],
    [within({ runAsUser: 0 }), "tsdb: runAsUser"],
    [within({ capabilities: {} }), "tsdb: capabilities"],
    [within({ procMount: "Unmasked" }), "tsdb: procMount"],
    [{ ...plain, containers: [{ ...container!, ports: [{ hostPort: 80 }] }] }, "tsdb: hostPort"],
  ] as const)
    expect(restrictedViolations(pod)).toEqual([what]);
});
