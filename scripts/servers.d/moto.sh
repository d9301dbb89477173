# shellcheck shell=bash disable=SC2154
# moto: a bucket that notifies a queue, as AWS does. It checks no signature and keeps all in memory.

MOTO_ADDRESS=127.0.0.1:5555

needs_moto() { [[ -d $LIB/moto-$MOTO_VERSION ]] || need_python; }

install_moto() {
  if [[ -d $LIB/moto-$MOTO_VERSION ]]; then return 0; fi
  say "installing moto $MOTO_VERSION"
  venv "moto-$MOTO_VERSION" "$HERE/servers.d/moto.lock"
}

address_moto() { echo "$MOTO_ADDRESS"; }

start_moto() { # node
  launch "$1" "$LIB/moto-$MOTO_VERSION/bin/python" -m moto.server -H "${MOTO_ADDRESS%:*}" -p "${MOTO_ADDRESS#*:}"
}

ready_moto() { http_answers "$MOTO_ADDRESS" /moto-api/ 200; }

env_moto() { echo "WHARFDEV_TEST_MOTO=http://$MOTO_ADDRESS"; }
