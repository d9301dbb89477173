#!/usr/bin/env bash
# Uploads from end to end on real NATS, CQL, SQS and S3, by a client that is not ours: the bytes go and come
# through botocore, the events are read by the `nats` command.
#
#   notified   the embedded S3 endpoint tells ElasticMQ
#   complete   versitygw as S3; the client says when it is done
#   moto       moto's bucket tells moto's queue, by `wharfinger aws setup`
#
# WHARFDEV_E2E_UPLOADS  how many each way, 1000
# WHARFDEV_E2E_BIN      a binary to use instead of the one that is built here
set -euo pipefail
# shellcheck source=tests/e2e/lib/servers.bash
source "$(dirname "${BASH_SOURCE[0]}")/lib/servers.bash"

need one nats cql sqs s3 moto
client uploads.py
