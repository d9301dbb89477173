#!/usr/bin/env bash
# Every golden event is read by the CloudEvents SDKs for JavaScript, Go and Python, and its data is valid by the schema
# that it names. Each reader also refuses a damaged copy, so none can pass everything.
#
# Exit 0: passed. Exit 3: skipped, the last line says why. Else: failed.
set -euo pipefail
ROOT=$(cd -P "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
cd "$ROOT"
LIB=$ROOT/tests/e2e/lib/events
WORK=$ROOT/target/e2e/events
mkdir -p "$WORK"

# A program, installed by apt where that is possible.
need() { # program package...
  command -v "$1" >/dev/null && return
  if [[ $(id -u) == 0 ]] && command -v apt-get >/dev/null; then
    apt-get install -y --no-install-recommends "${@:2}" ||
      { apt-get update && apt-get install -y --no-install-recommends "${@:2}"; }
  fi
  command -v "$1" >/dev/null || { echo "no $1; run: apt-get install -y ${*:2}" && exit 3; }
}

with_javascript() {
  need npm nodejs npm
  mkdir -p "$WORK/js"
  cp "$LIB"/package*.json "$WORK/js/"
  npm ci --prefix "$WORK/js" --no-audit --no-fund --ignore-scripts
  EVENTS_MODULES=$WORK/js node "$LIB/check.mjs" "${EVENTS[@]}"
}

# Debian's Go may be too old; scripts/servers brings one that is not.
with_go() {
  local go home
  home=$(realpath -m "${WHARFDEV_SERVERS_DIR:-$ROOT/target/servers}")
  for go in "$(command -v go)" /usr/local/go/bin/go "$home"/lib/go-*/lib/python3*/site-packages/go/bin/go; do
    [[ -x $go && $("$go" env GOVERSION) =~ ^go1\.([0-9]+) ]] && ((BASH_REMATCH[1] >= 24)) && break
  done
  [[ -x $go ]] || { echo "no go 1.24; run: scripts/servers install nats" && exit 3; }
  env -C "$LIB" GOWORK=off "$go" build -mod=readonly -trimpath -o "$WORK/reader" .
  "$WORK/reader" "${EVENTS[@]}"
}

with_python() {
  python3 -c 'import ensurepip, venv' || { echo "no python3 with venv; run: apt-get install -y python3-venv" && exit 3; }
  if [[ ! -x $WORK/python/bin/pip ]]; then python3 -m venv "$WORK/python"; fi
  "$WORK/python/bin/pip" install -q --no-deps --only-binary :all: --require-hashes -r "$LIB/python.lock"
  PYTHONDONTWRITEBYTECODE=1 "$WORK/python/bin/python" "$LIB/check.py" "${EVENTS[@]}"
}

EVENTS=(tests/golden/*.json)
with_javascript
with_go
with_python
