#!/usr/bin/env bash
# Three CQL replicas and three NATS nodes. First the suite of the ledger, in it two writers with a thousand conditional
# writes each on one user; then one replica and one node after the other killed under load: no client sees an
# error while a replica is away, and no event is lost while a node is.
set -euo pipefail
# shellcheck source=tests/e2e/lib/servers.bash
source "$(dirname "${BASH_SOURCE[0]}")/lib/servers.bash"

log=target/e2e/replicas-suite.txt
mkdir -p target/e2e
cargo test --locked --quiet --test cql --no-run
need cluster nats cql
need one sqs
began=$SECONDS
cargo test --locked --quiet --test cql -- --nocapture >"$log" 2>&1 || { tail -n 60 "$log" && exit 1; }
echo "the suite of the ledger on three replicas: $((SECONDS - began)) s"
grep 'two writers' "$log"
client replicas.py
