# shellcheck shell=bash disable=SC2154
# versitygw: S3 that checks every signature, length, type and checksum. Objects are files under data/s3/buckets.

S3_ADDRESS=127.0.0.1:7070

needs_s3() { [[ -x $BIN/versitygw-$S3_VERSION ]] || need_go; }

install_s3() { go_program versitygw "$S3_MODULE" "$S3_VERSION" "$S3_MODULE/cmd/versitygw" "$S3_SUM"; }

address_s3() { echo "$S3_ADDRESS"; }

random_hex() { od -An -v -N"$1" -tx1 /dev/urandom | tr -d ' \n'; } # bytes

# The credentials of this folder, made on first use, for this user's eyes only.
s3_credentials() {
  if [[ ! -f $RUN/s3-keys.env ]]; then
    (umask 077 && printf 'WHARFDEV_TEST_S3_KEY=%s\nWHARFDEV_TEST_S3_SECRET=%s\n' "$(random_hex 10)" "$(random_hex 20)" >"$TMP/s3-keys.env")
    mv "$TMP/s3-keys.env" "$RUN/s3-keys.env"
  fi
  cat "$RUN/s3-keys.env"
}

start_s3() { # node
  local key secret
  { read -r key && read -r secret; } <<<"$(s3_credentials)"
  mkdir -p "$DATA/$1/buckets"
  ROOT_ACCESS_KEY=${key#*=} ROOT_SECRET_KEY=${secret#*=} launch "$1" \
    "$BIN/versitygw-$S3_VERSION" --port "$S3_ADDRESS" --region us-east-1 posix "$DATA/$1/buckets"
}

# It refuses what nobody signed.
ready_s3() { http_answers "$S3_ADDRESS" / 403; }

env_s3() {
  echo "WHARFDEV_TEST_S3=http://$S3_ADDRESS"
  s3_credentials
}
