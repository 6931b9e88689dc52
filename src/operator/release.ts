/** The image of this release, which holds the operator and the database that it was released with. */
import { version } from "../tsdb/version.ts";

export { version };

export const IMAGE_REGISTRY = "ghcr.io";
export const IMAGE_REPOSITORY = "tsdb-dev/tsdb";

export const releaseImage = `${IMAGE_REGISTRY}/${IMAGE_REPOSITORY}:${version}`;
