# shellcheck shell=bash disable=SC2154
# nats-server with JetStream, every acknowledgement after a sync to disk.
# One node on 4222; three on 4221-4223 with their routes on 6221-6223. Monitoring: the port plus 4000.

needs_nats() { [[ -x $BIN/nats-server-$NATS_VERSION ]] || need_go; }

install_nats() { go_program nats-server "$NATS_MODULE" "$NATS_VERSION" "$NATS_MODULE" "$NATS_SUM"; }

port_nats() { if [[ $1 == nats ]]; then echo 4222; else echo "422${1#nats-}"; fi; }

address_nats() { echo "127.0.0.1:$(port_nats "$1")"; }

start_nats() { # node
  local port conf=$DATA/$1/server.conf
  port=$(port_nats "$1")
  cat >"$conf" <<CONF
server_name: $1
listen: 127.0.0.1:$port
http: 127.0.0.1:$((port + 4000))
jetstream { store_dir: "$DATA/$1/jetstream", sync_interval: always, max_file: 4GB }
CONF
  if [[ $1 != nats ]]; then
    cat >>"$conf" <<CONF
cluster {
  name: wharf
  no_advertise: true # a client stays behind the proxies it was given
  listen: 127.0.0.1:$((port + 2000))
  routes: [nats://127.0.0.1:6221, nats://127.0.0.1:6222, nats://127.0.0.1:6223]
}
CONF
  fi
  launch "$1" "$BIN/nats-server-$NATS_VERSION" -c "$conf"
}

# Healthy includes JetStream and, in a cluster, an elected leader that this node follows.
ready_nats() { http_answers "127.0.0.1:$(($(port_nats "$1") + 4000))" /healthz 200; }

env_nats() { # node...
  local node addresses=()
  for node; do addresses+=("$(address_nats "$node")"); done
  echo "WHARFDEV_TEST_NATS=$(joined nats:// "${addresses[@]}")"
}
