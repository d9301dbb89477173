# shellcheck shell=bash
# What the end-to-end scripts share: servers up, the client's Python, and everything put back at the end.
#
# A script sources this, says `need one nats cql …`, and ends with `client <file.py> [args]`.
# Exit 0: passed. Exit 3: skipped, the last line says why. Else: failed.

ROOT=$(cd -P "$(dirname "${BASH_SOURCE[0]}")/../../.." && pwd)
SERVERS_HOME=$(realpath -m "${WHARFDEV_SERVERS_DIR:-$ROOT/target/servers}")
STARTED=() STOPPED=() CLIENT=''
cd "$ROOT" || exit 1
# shellcheck source=/dev/null
source scripts/servers.d/pins.sh

# Ends the client, which ends what it started; stops what this script started and starts what it stopped.
finish() {
  local status=$?
  trap '' INT TERM HUP
  if [[ -n $CLIENT ]]; then kill "$CLIENT" 2>/dev/null && wait "$CLIENT" || true; fi
  if ((${#STARTED[@]})); then scripts/servers down "${STARTED[@]}" || true; fi
  if ((${#STOPPED[@]})); then scripts/servers up one "${STOPPED[@]}" >/dev/null || true; fi
  exit "$status"
}
trap 'exit 130' INT
trap 'exit 143' TERM HUP
trap finish EXIT

skipped() {
  echo "$*"
  exit 3
}

is_up() { scripts/servers status "$@" >/dev/null; }

# Servers, up in this mode, and what they are called in the environment.
need() { # one|cluster name...
  local mode=$1 name answer status=0
  shift
  command -v cargo >/dev/null || skipped "no cargo"
  for name; do
    if [[ $mode == cluster && $name =~ ^(nats|cql)$ ]] && is_up one "$name"; then
      scripts/servers down "$name"
      STOPPED+=("$name")
    fi
    is_up "$mode" "$name" || STARTED+=("$name")
  done
  answer=$(scripts/servers install natscli moto) || status=$?
  if ((status == 0)); then answer=$(scripts/servers up "$mode" "$@") || status=$?; fi
  if ((status == 3)); then skipped "${answer//$'\n'/; }"; fi
  if ((status != 0)); then exit 1; fi
  while read -r name; do export "${name?}"; done < <(scripts/servers env "$mode" "$@")
  export WHARFDEV_E2E_NATS_CLI=$SERVERS_HOME/bin/nats-$NATSCLI_VERSION WHARFDEV_E2E_SERVERS_RUN=$SERVERS_HOME/run
}

# A program in Python that uses boto3, with the pins of moto.lock; the binary under test is built first, unless
# WHARFDEV_E2E_BIN names one.
client() { # file arguments...
  local status=0
  if [[ -z ${WHARFDEV_E2E_BIN:-} ]]; then
    cargo build --locked --quiet --bin wharfinger
    export WHARFDEV_E2E_BIN=${CARGO_TARGET_DIR:-$ROOT/target}/debug/wharfinger
  fi
  PYTHONDONTWRITEBYTECODE=1 "$SERVERS_HOME/lib/moto-$MOTO_VERSION/bin/python" "tests/e2e/lib/$1" "${@:2}" &
  CLIENT=$!
  wait "$CLIENT" || status=$?
  CLIENT=''
  if ((status)); then exit "$status"; fi
}
