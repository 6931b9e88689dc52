#!/usr/bin/env bash
# Builds the peers that the end-to-end tests and benchmarks run against from their Go modules, once for each version,
# into a cache outside the tree, and prints the folder that holds the programs.
#   e2e/peers/build.sh [prometheus|victoria-metrics|node-exporter ...]      (all of them when none is named)
# A peer is built again only when its go.mod or go.sum changes. Needs Go 1.26; the first build takes about eight minutes.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
cache=${TSDB_PEERS_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/tsdb-peers}
PATH=$PATH:/usr/local/go/bin

# What each peer's go.mod names as tools; a peer is fresh only when all of them are there.
programs_of() {
  case $1 in
    prometheus) echo prometheus promtool ;;
    victoria-metrics) echo victoria-metrics ;;
    node-exporter) echo node_exporter ;;
    *) echo "e2e/peers: no peer is called $1; there are prometheus, victoria-metrics, node-exporter" >&2; return 1 ;;
  esac
}

is_fresh() { # PEER HASH
  local program
  [ "$(cat "$cache/bin/.$1.built" 2>/dev/null || true)" = "$2" ] || return 1
  for program in $(programs_of "$1"); do [ -x "$cache/bin/$program" ] || return 1; done
}

# The proxy is asked again when a download breaks off: a fresh machine fetches some hundred modules.
download() {
  local attempt
  for attempt in 1 2 3; do
    go mod download && return
    echo "e2e/peers: download broke off (attempt $attempt of 3)" >&2
    sleep 5
  done
  return 1
}

build() { # PEER: into a folder of its own first, so that a build that is cut off leaves nothing that looks finished
  local started=$SECONDS out
  out=$(mktemp -d "$cache/build.XXXXXX")
  cd "$here/$1"
  export CGO_ENABLED=0 GOFLAGS=-mod=readonly
  echo "e2e/peers: downloading the modules of $1" >&2
  download
  echo "e2e/peers: building $(programs_of "$1") (minutes the first time)" >&2
  # Says every half a minute that it is still at it. A sleep that outlives its loop must hold neither the lock nor a pipe.
  (while sleep 30 >/dev/null 2>&1 9>&-; do echo "e2e/peers: still building $1, $((SECONDS - started)) s" >&2; done) &
  # Expanded now: the trap runs when the local is gone.
  # shellcheck disable=SC2064
  trap "kill $! 2>/dev/null || true; rm -rf '$out'" EXIT
  # Prometheus without its clients of twenty clouds, in which nothing here looks for targets: a fifth less to compile.
  go build -trimpath -tags remove_all_sd -ldflags '-s -w' -o "$out/" tool >&2
  mv -f "$out"/* "$cache/bin/"
  echo "e2e/peers: built $1 in $((SECONDS - started)) s" >&2
}

[ $# -gt 0 ] || set -- prometheus victoria-metrics node-exporter
mkdir -p "$cache/bin"
exec 9>"$cache/.lock"
flock 9 # two at a time would compile everything twice
for peer in "$@"; do
  programs_of "$peer" >/dev/null
  hash=$(cat "$here/$peer/go.mod" "$here/$peer/go.sum" | sha256sum | cut -c1-16)
  is_fresh "$peer" "$hash" && continue
  command -v go >/dev/null || { echo "e2e/peers: Go is needed to build the peers; install Go 1.26 or newer" >&2; exit 1; }
  (build "$peer")
  echo "$hash" >"$cache/bin/.$peer.built"
done
echo "$cache/bin"
