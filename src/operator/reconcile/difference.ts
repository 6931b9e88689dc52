/**
 * Whether an object must be applied: what of it is not as it should be. The API server is never asked to repeat itself, so
 * that a database at rest costs no writes.
 */

/**
 * What one field manager owns, in the shape of `managedFields[].fieldsV1`: `f:NAME` a field, `k:{...}` an item of a list by
 * its keys, `v:...` an item of a set, `.` the thing itself. Entries of several operations are merged into one tree.
 */
export interface OwnedFields {
  readonly [key: string]: OwnedFields;
}

/** Paths are as `kubectl explain` writes them, items of lists by their key: `spec.template.spec.containers[tsdb].image`. */
export interface Difference {
  /** The object is not there. */
  readonly isMissing: boolean;
  /** Desired fields whose live value is another, or absent. */
  readonly changed: readonly string[];
  /** Fields that we own and do not want any more. */
  readonly dropped: readonly string[];
}
