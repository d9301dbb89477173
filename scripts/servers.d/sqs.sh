# shellcheck shell=bash disable=SC2154
# ElasticMQ: SQS with every message on disk before its answer. After a restart a queue looks empty for
# about a second while its messages are read back. It checks no signature.

SQS_ADDRESS=127.0.0.1:9324

needs_sqs() { need_java && { [[ -d $LIB/sqs-$SQS_VERSION ]] || need_mvn; }; }

install_sqs() { jars sqs "$SQS_ARTIFACT" "$SQS_VERSION" "$SQS_JARS"; }

address_sqs() { echo "$SQS_ADDRESS"; }

start_sqs() { # node
  local port=${SQS_ADDRESS#*:}
  cat >"$DATA/$1/server.conf" <<CONF
include classpath("application.conf")
node-address { protocol = http, host = localhost, port = $port, context-path = "" }
rest-sqs { enabled = true, bind-port = $port, bind-hostname = "127.0.0.1", sqs-limits = strict }
rest-stats { enabled = false }
generate-node-address = false
queues-storage { enabled = true, path = "$DATA/$1/queues.conf" }
messages-storage {
  enabled = true
  driver-class = "org.h2.Driver"
  uri = "jdbc:h2:$DATA/$1/messages;WRITE_DELAY=0"
  prune-data-on-init = false
}
aws { region = us-east-1, accountId = 000000000000 }
CONF
  launch "$1" "$JAVA" -Xmx256m -Dconfig.file="$DATA/$1/server.conf" -cp "$LIB/sqs-$SQS_VERSION/*" org.elasticmq.server.Main
}

ready_sqs() { http_answers "$SQS_ADDRESS" '/?Action=ListQueues' 200; }

env_sqs() { echo "WHARFDEV_TEST_SQS=http://$SQS_ADDRESS"; }
