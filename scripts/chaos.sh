#!/usr/bin/env bash
# chaos.sh [NAME…]: plays the scenarios of tests/chaos.rs in full length and prints a table. All, if none is named.
# CHAOS_SECONDS (60) is how long each takes; CHAOS_PROFILE (release) is what everything is built with.
set -euo pipefail
# shellcheck source=scripts/lib.sh
source "$(dirname "$0")/lib.sh"
cd "$root"

need_rust
need_rabbitmq
need_redis
profile=${CHAOS_PROFILE:-release}
# Together, so that all have the same dependencies.
cargo build --quiet --locked --profile "$profile" --package gateway-api --package gateway-http --package gateway-ws \
  --package tests --bins
# Cargo's name for the profile is not that of its folder.
folder=$profile
if [ "$profile" = dev ]; then folder=debug; fi
"target/$folder/chaos" "${CHAOS_SECONDS:-60}" "$@"
