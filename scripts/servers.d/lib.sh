# shellcheck shell=bash disable=SC2034,SC2154
# Processes: start one, know it again, wait for it, stop it.

BIN=$HOME_DIR/bin LIB=$HOME_DIR/lib DATA=$HOME_DIR/data LOG=$HOME_DIR/log RUN=$HOME_DIR/run TMP=$HOME_DIR/tmp
LOCK_WAIT_SECS=1800
STOP_WAIT_SECS=20

say() { printf '%s\n' "$*" >&2; }

die() {
  say "servers: $*"
  exit 1
}

name_of() { echo "${1%-[123]}"; }

version_of() { # name
  local pin=${1^^}_VERSION
  echo "${!pin}"
}

# One `up` or `down` at a time. The kernel frees the lock however we end.
take_lock() {
  exec {LOCK_FD}>"$HOME_DIR/lock"
  flock -n "$LOCK_FD" && return
  say "waiting for another scripts/servers"
  flock -w "$LOCK_WAIT_SECS" "$LOCK_FD" || die "another scripts/servers still runs after $LOCK_WAIT_SECS s"
}

# State letter and start tick of a process: together with the pid, its identity.
process() { # pid
  local stat fields
  { stat=$(<"/proc/$1/stat"); } 2>/dev/null || return 1
  read -ra fields <<<"${stat##*) }"
  echo "${fields[0]} ${fields[19]}"
}

pid_of() { cat "$RUN/$1.pid" 2>/dev/null; }

# Whether the process we started still runs: not a zombie, not a stranger under a reused pid.
alive() { # node
  local pid seen
  pid=$(pid_of "$1") && seen=$(process "$pid") || return 1
  [[ ${seen% *} != [ZX] && ${seen#* } == "$(cat "$RUN/$1.born" 2>/dev/null)" ]]
}

is_up() { alive "$1" && "ready_$(name_of "$1")" "$1"; }

# Runs the command in the node's data folder, in a session of its own, with its output in the node's log.
launch() { # node command...
  local node=$1 pid
  shift
  if [[ -f $LOG/$node.log ]]; then mv -f "$LOG/$node.log" "$LOG/$node.log.1"; fi
  (cd "$DATA/$node" && exec setsid "$@") </dev/null >"$LOG/$node.log" 2>&1 {LOCK_FD}>&- &
  pid=$!
  process "$pid" | cut -d' ' -f2 >"$RUN/$node.born"
  echo "$pid" >"$RUN/$node.pid"
  STARTED+=("$node")
}

await() { # node seconds
  local deadline=$((SECONDS + $2))
  until "ready_$(name_of "$1")" "$1"; do
    alive "$1" || die_with_log "$LOG/$1.log" "$1 ended while starting"
    ((SECONDS < deadline)) || die_with_log "$LOG/$1.log" "$1 is not ready after $2 s"
    sleep 0.1
  done
}

die_with_log() { # file words...
  say "--- last lines of $1"
  tail -n 20 "$1" >&2 || true
  shift
  die "$*"
}

# Asks every node to end, waits, and only then kills. Nodes that do not run are no error.
stop() { # node...
  local node deadline=$((SECONDS + STOP_WAIT_SECS))
  for node; do
    if alive "$node"; then kill "$(pid_of "$node")"; fi
  done
  for node; do
    while alive "$node" && ((SECONDS < deadline)); do sleep 0.05; done
    if alive "$node"; then
      say "$node does not end: killed"
      kill -KILL "$(pid_of "$node")"
      while alive "$node" && ((SECONDS < deadline + 5)); do sleep 0.05; done
    fi
    rm -f "$RUN/$node.pid" "$RUN/$node.born"
  done
}

port_answers() { # host:port
  (exec 3<>"/dev/tcp/${1%:*}/${1#*:}") 2>/dev/null
}

# Whether a GET is answered with this status within two seconds.
http_answers() { # host:port path status
  local line
  line=$(
    exec 2>/dev/null 3<>"/dev/tcp/${1%:*}/${1#*:}" &&
      printf 'GET %s HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n' "$2" "$1" >&3 &&
      read -r -t 2 line <&3 && echo "$line"
  ) || return 1
  [[ $line == HTTP/1.?" $3"* ]]
}

# Words, each behind a prefix, with commas between.
joined() { # prefix word...
  local prefix=$1 IFS=,
  shift
  echo "${*/#/$prefix}"
}
