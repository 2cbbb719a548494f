#!/usr/bin/env bash
# soak.sh [PART…]: lets gateway-voice play for long, and takes nodes away under many calls, with the simulated Discord listening; prints a table,
# and fails when a limit is exceeded. Parts are tones, killed and stopped; all, if none is named. SOAK_SECONDS (60) is how long a tone is;
# SOAK_PROFILE (release) is what everything is built with.
set -euo pipefail
# shellcheck source=scripts/lib.sh
source "$(dirname "$0")/lib.sh"
cd "$root"

need_rust
need_redis
profile=${SOAK_PROFILE:-release}
# Together, so that all have the same dependencies.
cargo build --quiet --locked --profile "$profile" --package gateway-voice --package gateway-ws --package bench --bins
if [ -z "${AMQP_URL:-}" ]; then
  need_rabbitmq
  trap 'scripts/rabbitmq.sh stop target/soak/rabbitmq' EXIT
  AMQP_URL=$(scripts/rabbitmq.sh start target/soak/rabbitmq)
fi
# Cargo's name for the profile is not that of its folder.
folder=$profile
if [ "$profile" = dev ]; then folder=debug; fi
if [ $# = 0 ]; then set -- soak; fi
cargo bench --quiet --locked --profile "$profile" --package bench --bench voice -- \
  "$AMQP_URL" "$root/target/$folder/gateway-ws" "$root/target/$folder/gateway-voice" "${SOAK_SECONDS:-60}" "$@"
