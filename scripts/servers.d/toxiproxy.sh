# shellcheck shell=bash disable=SC2154
# toxiproxy: delay, silence and resets between us and a server. Proxies are made by the tests, over its API.

TOXIPROXY_ADDRESS=127.0.0.1:8474

needs_toxiproxy() { [[ -x $BIN/toxiproxy-$TOXIPROXY_VERSION ]] || need_go; }

install_toxiproxy() {
  go_program toxiproxy "$TOXIPROXY_MODULE" "$TOXIPROXY_VERSION" "$TOXIPROXY_MODULE/cmd/server" "$TOXIPROXY_SUM"
}

address_toxiproxy() { echo "$TOXIPROXY_ADDRESS"; }

start_toxiproxy() { # node
  launch "$1" "$BIN/toxiproxy-$TOXIPROXY_VERSION" -host "${TOXIPROXY_ADDRESS%:*}" -port "${TOXIPROXY_ADDRESS#*:}"
}

ready_toxiproxy() { http_answers "$TOXIPROXY_ADDRESS" /version 200; }

env_toxiproxy() { echo "WHARFDEV_TEST_TOXIPROXY=http://$TOXIPROXY_ADDRESS"; }
