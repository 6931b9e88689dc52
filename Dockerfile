# One image with both programs: `tsdb`, the database, and `tsdb-operator`. Built for linux/amd64 and linux/arm64.
#
#   docker build -t tsdb .                      the image: no shell, no npm, nothing that runs as root
#   docker build -t tsdb:dev --target dev .     for development: restarts a program when its sources change (Tiltfile)
#
# Every base is an argument, so that a mirror, a pinned digest, or images made without any registry can take its place
# (e2e/cluster/image/image.ts does the last). NODE_IMAGE needs Node, npm and a shell; of RUNTIME_IMAGE only a C++ runtime.
ARG NODE_IMAGE=docker.io/library/node:26-trixie-slim
ARG RUNTIME_IMAGE=gcr.io/distroless/cc-debian13:nonroot

# The sources, as Node runs them, and the kernel compiled. The optional packages are the Node that a checkout brings along.
FROM ${NODE_IMAGE} AS build
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
RUN npm ci --omit=optional --ignore-scripts
COPY . .
RUN node scripts/build-kernel.ts

# The program's files, laid out as in the image. Nothing there has /usr/bin/env: the first line of each program names Node
# itself. Node links libatomic, which few bases have.
FROM build AS assembled
RUN npm prune --omit=dev --omit=optional --ignore-scripts \
 && mkdir -p /out/usr/local/bin /out/usr/lib /out/app/dist /empty \
 && cp -L "$(command -v node)" /out/usr/local/bin/node \
 && cp -L /usr/lib/*-linux-gnu*/libatomic.so.1 /out/usr/lib/ \
 && find node_modules -type f \( -name '*.map' -o -name '*.d.ts' -o -name '*.d.mts' -o -name '*.d.cts' \) -delete \
 && mv package.json bin src node_modules /out/app/ \
 && mv dist/kernel.wasm /out/app/dist/ \
 && rm -r /out/app/src/tsdb/kernel/assembly \
 && for file in /out/app/bin/*.mjs; do \
      sed -i '1s|^#!.*|#!/usr/local/bin/node|' "$file" && chmod 755 "$file" \
      && ln -s "/app/bin/${file##*/}" "/out/usr/local/bin/$(basename "$file" .mjs)" || exit 1; \
    done

# Each program under `node --watch`, in a tree that its user may write to: Tilt puts changed sources there.
FROM build AS dev
RUN for file in bin/*.mjs; do \
      name=$(basename "$file" .mjs) \
      && printf '#!/bin/sh\nexec node --watch --watch-preserve-output %s /app/%s "$@"\n' \
           "--watch-path=/app/bin --watch-path=/app/src --watch-path=/app/dist" "$file" >"/usr/local/bin/$name" \
      && chmod 755 "/usr/local/bin/$name" || exit 1; \
    done \
 && mkdir /data && chown -R 65532:65532 /app /data
ENV HOME=/tmp
USER 65532:65532
EXPOSE 8080 8081
CMD ["tsdb", "start", "--data-dir=/data/tsdb"]

FROM ${RUNTIME_IMAGE} AS runtime
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="tsdb" \
      org.opencontainers.image.description="A Prometheus-compatible time-series database and its Kubernetes operator" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
COPY --from=assembled /out/ /
COPY --from=assembled --chown=65532:65532 /empty /data
ENV NODE_ENV=production \
    PATH=/usr/local/bin:/usr/bin:/bin \
    TSDB_REVISION=${REVISION}
USER 65532:65532
WORKDIR /app
# The API, and the listener for probes; tsdb-operator serves its own metrics and probes on 8080.
EXPOSE 8080 8081
STOPSIGNAL SIGTERM
CMD ["tsdb", "start", "--data-dir=/data/tsdb"]
