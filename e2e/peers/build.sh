#!/usr/bin/env bash
# Builds the peers that the end-to-end tests and benchmarks run against from their Go modules, once for each version,
# into a cache outside the tree, and prints the folder that holds the programs.
#   e2e/peers/build.sh [prometheus|victoria-metrics|node-exporter ...]      (all of them when none is named)
# A peer is built again only when its go.mod or go.sum changes. Needs Go 1.26; the first build takes about eight minutes.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
cache=${TSDB_PEERS_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/tsdb-peers}
command -v go >/dev/null || { echo "e2e/peers: Go is needed to build the peers; install Go 1.26 or newer" >&2; exit 1; }
mkdir -p "$cache/bin"
for peer in "${@:-}"; do
  [ -n "$peer" ] || { exec "$0" prometheus victoria-metrics node-exporter; }
  [ -f "$here/$peer/go.mod" ] || { echo "e2e/peers: no peer is called $peer; there are: $(cd "$here" && ls -d */ | tr -d / | xargs)" >&2; exit 1; }
  stamp=$cache/bin/.$peer.built
  want=$(cat "$here/$peer/go.mod" "$here/$peer/go.sum" | sha256sum | cut -c1-16)
  [ "$(cat "$stamp" 2>/dev/null || true)" = "$want" ] && continue
  echo "e2e/peers: building $peer (a few minutes the first time)" >&2
  (cd "$here/$peer" && CGO_ENABLED=0 GOFLAGS=-mod=readonly go build -trimpath -ldflags '-s -w' -o "$cache/bin/" tool)
  echo "$want" >"$stamp"
done
echo "$cache/bin"
