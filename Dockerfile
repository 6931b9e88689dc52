# One image with both programs: `tsdb`, the database, and `tsdb-operator`. Built for linux/amd64 and linux/arm64.
#
#   docker build -t tsdb .                      the image: no shell, no npm, nothing that runs as root
#   docker build -t tsdb:dev --target dev .     for development: restarts a program when its sources change (Tiltfile)
#
# Every base is an argument, so that a mirror, a pinned digest, or images made without any registry can take its place
# (e2e/cluster/image/image.ts does the last). NODE_IMAGE needs Node, npm and a shell; of RUNTIME_IMAGE only a C++ runtime.
ARG NODE_IMAGE=docker.io/library/node:26-trixie-slim
ARG RUNTIME_IMAGE=gcr.io/distroless/cc-debian13:nonroot

# All packages, for building; of the optional ones those that tools of ours are made of, not the Node that a checkout brings
# along.
FROM ${NODE_IMAGE} AS packages
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
RUN npm ci --ignore-scripts \
 && rm -rf node_modules/node-linux-* node_modules/.bin/node

# The kernel compiled, and the sources as Node runs them.
FROM packages AS build
COPY scripts/build-kernel.ts scripts/
COPY src/tsdb/kernel/assembly src/tsdb/kernel/assembly
RUN node scripts/build-kernel.ts
COPY bin bin
COPY src src

# Node, and the library that it links and few bases have: the layer that is large and seldom changes.
FROM ${NODE_IMAGE} AS node
RUN mkdir -p /out/usr/local/bin /out/usr/lib /empty \
 && cp -L "$(command -v node)" /out/usr/local/bin/node \
 && cp -L /usr/lib/*-linux-gnu*/libatomic.so.1 /out/usr/lib/

# The programs with all that they use, laid out as in the image: the layer that every release changes. Where they run there is
# no /usr/bin/env, so the first line of each names Node itself.
FROM build AS programs
COPY scripts/build-programs.ts scripts/
RUN node scripts/build-programs.ts /out/app \
 && mkdir -p /out/usr/local/bin \
 && for file in bin/*.mjs; do \
      name=$(basename "$file" .mjs) \
      && sed -i '1s|^#!/usr/bin/env \(-S \)*|#!/usr/local/bin/|' "/out/app/$name.mjs" && chmod 755 "/out/app/$name.mjs" \
      && ln -s "/app/$name.mjs" "/out/usr/local/bin/$name" || exit 1; \
    done

# For development: each program under `node --watch`, in a tree that its user may write to, where Tilt puts changed sources.
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
COPY --from=node /out/ /
COPY --from=node --chown=65532:65532 /empty /data
COPY --from=programs /out/ /
ENV NODE_ENV=production \
    PATH=/usr/local/bin:/usr/bin:/bin \
    TSDB_REVISION=${REVISION}
USER 65532:65532
WORKDIR /app
# The API, and the listener for probes; tsdb-operator serves its own metrics and probes on 8080.
EXPOSE 8080 8081
STOPSIGNAL SIGTERM
CMD ["tsdb", "start", "--data-dir=/data/tsdb"]
