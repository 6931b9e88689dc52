/** The image that the Dockerfile builds: what is in it, who runs in it, and that both programs do. */
import { existsSync, readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, expect, test } from "vitest";
import { version } from "../../../src/operator/release.ts";
import { root } from "../support/run.ts";
import { Buildah } from "./buildah.ts";
import { buildImage } from "./image.ts";

const canBuild = process.getuid?.() === 0 && existsSync("/usr/bin/buildah");

const BUILD_MS = 20 * 60_000;

let buildah: Buildah;
let image: string;

beforeAll(() => {
  if (!canBuild) return;
  buildah = new Buildah();
  image = buildImage(buildah);
}, BUILD_MS);

const programs = readdirSync(join(root, "bin")).flatMap((name) => /^(.*)\.mjs$/.exec(name)?.slice(1) ?? []);

test.skipIf(!canBuild)("the image runs as nobody, and says which release it is", () => {
  const { User, Labels, Cmd, Env } = buildah.inspect(image).config;
  expect(User).toBe("65532:65532");
  expect(Cmd[0]).toBe("tsdb");
  expect(Labels["org.opencontainers.image.version"]).toBe(version);
  // What the programs say of themselves is what the image says.
  expect(Env).toContain(`TSDB_REVISION=${Labels["org.opencontainers.image.revision"]}`);
});

test.skipIf(!canBuild)("the image has the programs, and neither a shell nor what they were built with", () => {
  buildah.withFiles(image, (tree) => {
    for (const program of programs) expect(existsSync(join(tree, `app/${program}.mjs`)), program).toBe(true);
    const unwanted = ["bin/sh", "bin/bash", "usr/bin/env", "usr/local/bin/npm"]
      .concat(["app/scripts", "app/src", "app/node_modules", "root/.npm"])
      .filter((path) => existsSync(join(tree, path)));
    expect(unwanted).toEqual([]);
    const { uid, gid } = statSync(join(tree, "data"));
    expect({ uid, gid }).toEqual({ uid: 65_532, gid: 65_532 });
  });
});

test.skipIf(!canBuild).each(programs)("%s starts in the image", (program) => {
  expect(buildah.runIn(image, [program, "--version"])).toContain(version);
});

test.skipIf(!canBuild)(
  "the image for development starts a program again when one of its sources is written to",
  () => {
    const log = buildah.runIn(buildImage(buildah, "dev"), [
      "sh",
      "-c",
      `tsdb start --data-dir=/data/tsdb --listen=127.0.0.1:0 --probe-listen= >/tmp/log 2>&1 & watcher=$!
       said() { for i in $(seq 600); do case $(cat /tmp/log) in *"$1"*) return;; esac; sleep 0.1; done; }
       said listening
       echo '//' >>/app/src/tsdb/version.ts
       said Restarting
       kill $watcher; wait $watcher; cat /tmp/log`,
    ]);
    expect(log).toContain("Change detected in '/app/src/tsdb/version.ts'");
  },
  BUILD_MS,
);
