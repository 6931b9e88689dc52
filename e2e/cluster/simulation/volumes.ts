/**
 * Plays a storage provider on a control plane that has none: claims of its classes get volumes, and growth is carried out
 * as the real resizer and kubelet do it, by writes of volume and claim. Nothing is stored. The real thing is in csi/.
 */
import { field, referenceTo } from "../support/api.ts";
import type { Api, Json, KubeObject } from "../support/api.ts";
import { followed } from "./follow.ts";

const PROVISIONER = "simulated.tsdb.dev";

/** Classes by what they can do. */
export const CLASSES = {
  /** The cluster's default: grows while pods run. */
  growing: "growing",
  /** Cannot grow. */
  fixed: "fixed",
  /** The file system grows only when the pod starts again. */
  offline: "growing-offline",
  /** Nobody makes volumes of it. */
  pending: "pending",
} as const;

export class SimulatedVolumes {
  /** While true, nothing grows: as with a provider that is busy. */
  isStuck = false;
  readonly #api: Api;
  readonly #ended = new AbortController();
  readonly #following: Promise<void>;
  readonly #failures: unknown[] = [];
  readonly #claims = new Map<string, KubeObject>();

  private constructor(api: Api, namespace?: string) {
    this.#api = api;
    const of = { apiVersion: "v1", kind: "PersistentVolumeClaim", ...(namespace === undefined ? {} : { namespace }) };
    this.#following = followed(api, of, this.#ended.signal, (type, claim) => {
      if (type === "DELETED") this.#claims.delete(String(claim.metadata.uid));
      else {
        this.#claims.set(String(claim.metadata.uid), claim);
        this.#act(claim).catch((thrown: unknown) => this.#failures.push(thrown));
      }
    });
  }

  static async start(api: Api, namespace?: string): Promise<SimulatedVolumes> {
    const storageClass = (name: string, allowVolumeExpansion: boolean, provisioner = PROVISIONER, isDefault = false) =>
      api.apply({
        apiVersion: "storage.k8s.io/v1",
        kind: "StorageClass",
        metadata: { name, annotations: { "storageclass.kubernetes.io/is-default-class": String(isDefault) } },
        provisioner,
        allowVolumeExpansion,
        volumeBindingMode: "Immediate",
      });
    await storageClass(CLASSES.growing, true, PROVISIONER, true);
    await storageClass(CLASSES.fixed, false);
    await storageClass(CLASSES.offline, true);
    await storageClass(CLASSES.pending, true, "nobody.tsdb.dev");
    return new SimulatedVolumes(api, namespace);
  }

  /** Goes on with what `isStuck` held up. */
  async resume(): Promise<void> {
    this.isStuck = false;
    await Promise.all([...this.#claims.values()].map((claim) => this.#act(claim)));
  }

  /** What a kubelet does when a pod starts with a volume whose file system has yet to grow. */
  async growFileSystems(): Promise<void> {
    for (const claim of this.#claims.values())
      if (isFileSystemPending(claim)) await this.#report(claim, { capacity: requested(claim), conditions: [] });
  }

  /** @throws what went wrong meanwhile */
  async stop(): Promise<void> {
    this.#ended.abort();
    await this.#following;
    if (this.#failures.length > 0) throw new AggregateError(this.#failures, "the simulated volumes failed");
  }

  async #act(claim: KubeObject): Promise<void> {
    const className = field(claim, "spec.storageClassName");
    if (this.#ended.signal.aborted || claim.metadata.deletionTimestamp !== undefined) return;
    if (![CLASSES.growing, CLASSES.fixed, CLASSES.offline].some((ours) => ours === className)) return;
    if (field(claim, "spec.volumeName") === undefined) await this.#provision(claim, String(className));
    else if (field(claim, "status.phase") === "Bound" && !this.isStuck) await this.#grow(claim, String(className));
  }

  async #provision(claim: KubeObject, storageClassName: string): Promise<void> {
    const { name, namespace, uid } = claim.metadata;
    const claimRef = { apiVersion: "v1", kind: "PersistentVolumeClaim", name, namespace, uid };
    await this.#api.apply({
      apiVersion: "v1",
      kind: "PersistentVolume",
      metadata: { name: `simulated-${uid}`, annotations: { "pv.kubernetes.io/provisioned-by": PROVISIONER } },
      spec: {
        storageClassName,
        claimRef,
        capacity: requested(claim),
        accessModes: field(claim, "spec.accessModes"),
        persistentVolumeReclaimPolicy: "Retain",
        csi: { driver: PROVISIONER, volumeHandle: uid },
      },
    });
  }

  async #grow(claim: KubeObject, className: string): Promise<void> {
    const wanted = requested(claim);
    if (field(claim, "status.capacity.storage") === wanted.storage || isFileSystemPending(claim)) return;
    const name = String(field(claim, "spec.volumeName"));
    await this.#api.patch({ apiVersion: "v1", kind: "PersistentVolume", name }, { spec: { capacity: wanted } });
    const pending = {
      type: "FileSystemResizePending",
      status: "True",
      message: "Waiting for user to (re-)start a pod",
    };
    if (className === CLASSES.offline) await this.#report(claim, { conditions: [{ ...pending, lastTransitionTime }] });
    else await this.#report(claim, { capacity: wanted, conditions: [] });
  }

  async #report(claim: KubeObject, status: Json): Promise<void> {
    if ((await this.#api.find(referenceTo(claim))) !== undefined)
      await this.#api.patch(referenceTo(claim), { status }, "status");
  }
}

const lastTransitionTime = "2026-01-01T00:00:00Z";

const requested = (claim: KubeObject): { readonly storage: string } => ({
  storage: String(field(claim, "spec.resources.requests.storage")),
});

const isFileSystemPending = (claim: KubeObject): boolean =>
  ((field(claim, "status.conditions") ?? []) as readonly Json[]).some(({ type }) => type === "FileSystemResizePending");
