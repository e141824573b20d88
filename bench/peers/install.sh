#!/usr/bin/env bash
# Fetches the systems that Edgelog is measured beside. Whatever is missing is named by the bench.
set -euo pipefail
cd "$(dirname "$0")"
NATS_VERSION=v2.15.2

# Apache Kafka: the broker and its tools, from Maven Central. Needs Java 17 and Maven.
mvn -q -B -f kafka/pom.xml dependency:copy-dependencies -DoutputDirectory=libs

# NATS: Debian's server is older than sync_interval (2.10), so it is built here. Needs Go.
GOBIN="$PWD/bin" go install "github.com/nats-io/nats-server/v2@$NATS_VERSION"

# Redis, from Debian.
command -v redis-server >/dev/null || apt-get install -y --no-install-recommends redis-server
