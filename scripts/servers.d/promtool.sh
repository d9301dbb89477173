# shellcheck shell=bash disable=SC2154
# bin/promtool: checks the alert rules and runs their tests. Debian's package is unpacked, not installed: its server would start.

needs_promtool() {
  [[ -x $BIN/promtool ]] || command -v promtool >/dev/null ||
    { command -v apt-get >/dev/null && command -v dpkg-deb >/dev/null; } || lacks promtool prometheus
}

install_promtool() {
  local found work=$TMP/promtool
  if [[ -x $BIN/promtool ]]; then return 0; fi
  if found=$(command -v promtool); then ln -sfn "$found" "$BIN/promtool" && return 0; fi
  say "fetching promtool from Debian's package of prometheus"
  mkdir "$work"
  quietly install-promtool env -C "$work" apt-get download prometheus ||
    { quietly apt apt-get update && build install-promtool env -C "$work" apt-get download prometheus; }
  build install-promtool dpkg-deb -x "$work"/prometheus_*.deb "$work/root"
  mv "$work/root/usr/bin/promtool" "$BIN/promtool"
}
