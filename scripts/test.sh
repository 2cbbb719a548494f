#!/usr/bin/env bash
# All tests. They start the RabbitMQ and Redis servers that they need, each on free ports.
set -euo pipefail
# shellcheck source=scripts/lib.sh
source "$(dirname "$0")/lib.sh"
cd "$root"

need_rust
need_rabbitmq
need_redis
cargo test --locked
say "all tests passed"
