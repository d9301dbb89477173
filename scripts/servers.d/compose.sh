# shellcheck shell=bash disable=SC2154
# bin/compose-spec: the reference loader of compose files, with their schema inside. Needs no container engine.

needs_compose() { [[ -x $BIN/compose-spec-$COMPOSE_VERSION ]] || need_go; }

install_compose() {
  go_program compose-spec "$COMPOSE_MODULE" "$COMPOSE_VERSION" "$COMPOSE_MODULE/cmd" "$COMPOSE_SUM"
}
