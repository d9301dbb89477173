#!/usr/bin/env bash
# Each server in turn is killed with -9 while uploads and deletes go on, and started again: nothing that was
# acknowledged is lost, every uploaded object is settled, nobody lends a hand. Prints how long each took to recover.
#
#   notified   nats, cql, sqs, and Wharfinger with the S3 endpoint inside it; the bucket tells ElasticMQ
#   complete   versitygw as S3; clients say when they are done, and say it again if that was refused
set -euo pipefail
# shellcheck source=tests/e2e/lib/servers.bash
source "$(dirname "${BASH_SOURCE[0]}")/lib/servers.bash"

need one nats cql sqs s3
client kills.py
