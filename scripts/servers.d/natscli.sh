# shellcheck shell=bash disable=SC2154
# bin/nats: a person at a terminal, or an internal service in a test.

needs_natscli() { [[ -x $BIN/nats-$NATSCLI_VERSION ]] || need_go; }

install_natscli() { go_program nats "$NATSCLI_MODULE" "$NATSCLI_VERSION" "$NATSCLI_MODULE/nats" "$NATSCLI_SUM"; }
