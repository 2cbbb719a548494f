#!/usr/bin/env bash
# All tests. They start the RabbitMQ and Redis servers that they need, each on free ports. The last are
# those in Python, TypeScript and JavaScript.
#
#   BROKER=4   RabbitMQ 4 and Valkey, those of Debian 13, instead of this machine's servers
set -euo pipefail
# shellcheck source=scripts/lib.sh
source "$(dirname "$0")/lib.sh"
cd "$root"

# Most of the time the tests wait for somebody.
export RUST_TEST_THREADS=${RUST_TEST_THREADS:-$((2 * $(getconf _NPROCESSORS_ONLN)))}

need_rust
case ${BROKER:-} in
  '')
    need_rabbitmq
    need_redis
    cargo test --locked
    ;;
  4)
    cargo test --locked --no-run
    scripts/trixie.sh cargo test --locked --tests
    # They are compiled as they run, and need no server.
    cargo test --locked --doc
    ;;
  *) die "BROKER=$BROKER: there is only 4, which is RabbitMQ 4 with Valkey" ;;
esac
scripts/languages.sh
scripts/libraries.sh
say "all tests passed"
