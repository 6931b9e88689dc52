#!/usr/bin/env bash
# Everything that proves the project on a machine of its own: the README's test command first, then what needs real
# peers, root, or more minutes than `npm test` may take. Needs Debian 12, root, Node 20 with npm 11, Go 1.26. Runs from
# any folder, reads no input, leaves no process behind.
#
#   bash .ci/run              all parts
#   bash .ci/run test e2e     only these; the names are those of the functions part_NAME below
#
# A test that was skipped counts as failed here, because all of them can run here. Ends with "N passed, N failed".
set -uo pipefail
cd "$(git -C "$(dirname "${BASH_SOURCE[0]}")" rev-parse --show-toplevel)" || exit 1
PATH=$PATH:/usr/local/go/bin:/usr/sbin:/sbin
export CI=1 NO_COLOR=1 DEBIAN_FRONTEND=noninteractive

scratch=$(mktemp -d /tmp/tsdb-ci.XXXXXX)
passed=0
failed=0
failures=()
times=()
running= # process group of the part that runs

clean_up() {
  [ -z "$running" ] || kill -KILL -- "-$running" 2>/dev/null
  rm -rf "$scratch"
}
trap clean_up EXIT
trap 'exit 130' INT TERM HUP

# ---- the parts: each is one function, run in a process group of its own with a limit in minutes ----

limit_packages=10
part_packages() { # what the tests call that a bare Debian lacks
  local missing=() pair
  # The Node that the package brings along needs libatomic1.
  [ -e /usr/lib/x86_64-linux-gnu/libatomic.so.1 ] || [ -e /usr/lib/aarch64-linux-gnu/libatomic.so.1 ] || missing+=(libatomic1)
  for pair in strace:strace mkfs.xfs:xfsprogs xfs_io:xfsprogs mkfs.ext4:e2fsprogs losetup:mount setpriv:util-linux taskset:util-linux ps:procps flock:util-linux; do
    command -v "${pair%%:*}" >/dev/null || missing+=("${pair##*:}")
  done
  [ ${#missing[@]} -gt 0 ] || { echo "nothing to install"; return 0; }
  echo "installing ${missing[*]}"
  apt-get -qq update && apt-get -qq install -y --no-install-recommends "${missing[@]}"
}

limit_test=25
part_test() { # the README's command
  local module
  # The module that the peers are built from has the corpus that the tests of PromQL read.
  module=$(cd e2e/peers/prometheus && go mod download github.com/prometheus/prometheus &&
    go list -mod=readonly -m -f '{{.Dir}}' github.com/prometheus/prometheus) || return
  export PROMQL_CORPUS=$module/promql/promqltest/testdata TEST_REPORT=$scratch/test.json
  bash -c 'npm ci && npm test'
}

limit_check=10
part_check() {
  npm run check
}

limit_peers=35
part_peers() {
  bash e2e/peers/build.sh
}

limit_e2e=15
part_e2e() {
  TEST_REPORT="$scratch/e2e.json" node_modules/.bin/node node_modules/.bin/vitest run --config e2e/vitest.config.ts
}

limit_crash=15
part_crash() {
  node_modules/.bin/node e2e/crash/main.ts --cycles 60
}

limit_races=10
part_races() {
  node_modules/.bin/node e2e/races/main.ts --seconds 60
}

# ---- counting ----

pass() { passed=$((passed + 1)); }
fail() { failed=$((failed + 1)); failures+=("$1"); }

# Adds up a report of vitest: one for each test, and one for the run itself when it failed beyond its tests.
count_tests() { # PART REPORT STATUS
  local kind name run failedBefore=$failed
  if [ ! -s "$2" ]; then fail "$1: no report of its tests"; return; fi
  while IFS=$'\t' read -r kind name; do
    case $kind in passed) pass ;; failed) fail "$1: $name" ;; *) fail "$1: $name ($kind: it can run here, and must)" ;; esac
  done < <(node -e '
    const { testResults } = JSON.parse(require("fs").readFileSync(process.argv[1], "utf8"));
    for (const file of testResults) {
      const path = require("path").relative(process.cwd(), file.name);
      if (file.assertionResults.length === 0) console.log(`failed\t${path}: ${(file.message || "no tests in it").split("\n")[0]}`);
      for (const { status, fullName } of file.assertionResults) console.log(`${status}\t${path}: ${fullName.replace(/\s+/g, " ")}`);
    }' "$2")
  [ "$3" = 0 ] || [ "$failed" -gt "$failedBefore" ] || fail "$1: ended with $3 although no test failed"
}

run_part() { # NAME
  local name=$1 limit left started=$SECONDS status=0
  limit=$(eval "echo \$limit_$name")
  printf '\n==== %s (at most %s min)\n' "$name" "$limit"
  rm -f "$scratch/$name.json"
  export scratch
  export -f "part_$name"
  # A process group of its own, so that what a part leaves behind is found and ended, whatever it is.
  setsid timeout --kill-after=20 "${limit}m" bash -uo pipefail -c "part_$name" </dev/null &
  running=$!
  wait "$running" || status=$?
  if left=$(ps -o pid=,args= -g "$running" | cut -c1-200) && [ -n "$left" ]; then
    echo "ci: $name left processes behind, which are ended now:"
    echo "$left"
    kill -KILL -- "-$running" 2>/dev/null
  fi
  running=
  times+=("$name $((SECONDS - started)) s")
  [ "$status" != 124 ] || echo "ci: $name did not end within $limit minutes"
  case $name in
    test | e2e) count_tests "$name" "$scratch/$name.json" "$status" ;;
    *) if [ "$status" = 0 ]; then pass; else fail "$name: ended with $status"; fi ;;
  esac
}

all=(packages test check peers e2e crash races)
parts=("$@")
[ ${#parts[@]} -gt 0 ] || parts=("${all[@]}")
for part in "${parts[@]}"; do
  declare -F "part_$part" >/dev/null || { echo "no part is called $part; there are: ${all[*]}" >&2; exit 2; }
done
for part in "${parts[@]}"; do run_part "$part"; done

printf '\n==== %s s: %s\n' "$SECONDS" "$(IFS=,; echo "${times[*]}" | sed 's/,/, /g')"
for name in "${failures[@]+"${failures[@]}"}"; do echo "FAILED $name"; done
echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
