# shellcheck shell=bash disable=SC2154
# Apache Cassandra as the CQL server. One node on 127.0.0.1, or three real replicas on 127.0.0.1-3, port 9042 each.
# A write is on disk before its answer. A node that missed a change of the tables asks for it within seconds, not
# after a minute. The JVM's access flags are in cql.jvm.

needs_cql() { need_java && { [[ -d $LIB/cql-$CQL_VERSION ]] || need_mvn; }; }

install_cql() { jars cql "$CQL_ARTIFACT" "$CQL_VERSION" "$CQL_JARS"; }

host_cql() { if [[ $1 == cql ]]; then echo 127.0.0.1; else echo "127.0.0.${1#cql-}"; fi; }

address_cql() { echo "$(host_cql "$1"):9042"; }

# Even thirds of the ring, and who finds whom.
configure_cql() { # node folder
  local host seeds=127.0.0.1:7000 tokens=(0 -6148914691236517206 0 6148914691236517205)
  host=$(host_cql "$1")
  if [[ $1 != cql ]]; then seeds=127.0.0.1:7000,127.0.0.2:7000,127.0.0.3:7000; fi
  cat >"$2/cassandra.yaml" <<YAML
cluster_name: wharfinger
num_tokens: 1
initial_token: ${tokens[$([[ $1 == cql ]] && echo 0 || echo "${1#cql-}")]}
auto_bootstrap: false
partitioner: org.apache.cassandra.dht.Murmur3Partitioner
endpoint_snitch: SimpleSnitch
seed_provider: [{class_name: org.apache.cassandra.locator.SimpleSeedProvider, parameters: [{seeds: "$seeds"}]}]
listen_address: $host
rpc_address: $host
native_transport_port: 9042
data_file_directories: [$DATA/$1/data]
commitlog_directory: $DATA/$1/commitlog
saved_caches_directory: $DATA/$1/caches
hints_directory: $DATA/$1/hints
cdc_raw_directory: $DATA/$1/cdc
commitlog_sync: batch
commitlog_segment_size: 8MiB
paxos_variant: v2
concurrent_reads: 8
concurrent_writes: 8
memtable_heap_space: 64MiB
YAML
  cat >"$2/logback.xml" <<'XML'
<configuration>
  <appender name="out" class="ch.qos.logback.core.ConsoleAppender">
    <encoder><pattern>%d{HH:mm:ss.SSS} %-5level %logger{0} %msg%n</pattern></encoder>
  </appender>
  <root level="INFO"><appender-ref ref="out"/></root>
</configuration>
XML
}

start_cql() { # node
  local jars=$LIB/cql-$CQL_VERSION conf=$DATA/$1/conf jmx_port
  jmx_port=719$([[ $1 == cql ]] && echo 1 || echo "${1#cql-}")
  mkdir -p "$conf"
  configure_cql "$1" "$conf"
  launch "$1" "$JAVA" "@$HERE/servers.d/cql.jvm" -javaagent:"$jars/jamm-0.4.0.jar" \
    -Xms512M -Xmx512M -Xss512k -XX:+UseSerialGC -Djava.net.preferIPv4Stack=true \
    -Dcassandra.config="file://$conf/cassandra.yaml" -Dcassandra.storagedir="$DATA/$1" -Dcassandra-foreground=yes \
    -Dcassandra.jmx.local.port="$jmx_port" -Dcassandra.ring_delay_ms=500 -Dcassandra.skip_wait_for_gossip_to_settle=0 \
    -Dcassandra.migration_delay_ms=1000 -Dcassandra.schema_pull_interval_ms=2000 \
    -cp "$conf:$jars/*" org.apache.cassandra.service.CassandraDaemon
}

# Started, sees its two neighbours if it has any, and answers OPTIONS (opcode 5) with SUPPORTED (6).
ready_cql() { # node
  local log=$LOG/$1.log reply
  grep -q 'Startup complete' "$log" 2>/dev/null || return 1
  [[ $1 == cql || $(grep -o '/127[^ ]* is now UP' "$log" | sort -u | wc -l) == 2 ]] || return 1
  reply=$(
    exec 2>/dev/null 3<>"/dev/tcp/$(host_cql "$1")/9042" &&
      printf '\x04\x00\x00\x00\x05\x00\x00\x00\x00' >&3 &&
      timeout 2 head -c 5 <&3 | od -An -tx1
  ) || return 1
  [[ $reply == *06 ]]
}

env_cql() { # node...
  local node addresses=()
  for node; do addresses+=("$(address_cql "$node")"); done
  echo "WHARFDEV_TEST_CQL=$(joined '' "${addresses[@]}")"
}
