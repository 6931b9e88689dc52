/** What the loop driver is called, in the cluster and by its StorageClasses. */
export const DRIVER_NAME = "loop.csi.tsdb.dev";
