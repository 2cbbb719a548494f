#!/usr/bin/env bash
# All tests. They start the RabbitMQ and Redis servers that they need, each on free ports. The last are
# those in Python, TypeScript and JavaScript.
set -euo pipefail
# shellcheck source=scripts/lib.sh
source "$(dirname "$0")/lib.sh"
cd "$root"

need_rust
need_rabbitmq
need_redis
cargo test --locked
scripts/languages.sh
scripts/libraries.sh
say "all tests passed"
