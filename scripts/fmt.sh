#!/usr/bin/env bash
# Formats the Rust and the Python code.
set -euo pipefail
# shellcheck source=scripts/lib.sh
source "$(dirname "$0")/lib.sh"
cd "$root"

need_rust
need_linters
cargo fmt --all
"$tools/lint/bin/ruff" check --quiet --select I --fix deploy examples scripts tests
"$tools/lint/bin/ruff" format --quiet deploy examples scripts tests
