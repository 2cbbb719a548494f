#!/usr/bin/env bash
# What CI runs: lints first, because they are quick to say no, then all tests, the images if containers can be run here, and a short demo.
set -euo pipefail
# shellcheck source=scripts/lib.sh
source "$(dirname "$0")/lib.sh"

"$root/scripts/lint.sh"
"$root/scripts/test.sh"
PROFILE=dev CONTAINERS=optional "$root/scripts/images.sh"
DEMO_PROFILE=test DEMO_SECONDS=${DEMO_SECONDS:-5} "$root/scripts/demo.sh"
say "everything is well"
