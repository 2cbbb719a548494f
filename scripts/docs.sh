#!/usr/bin/env bash
# Writes the reference of the contract, docs/reference, anew from proto/, and the documentation of the
# Rust code to target/doc.
set -euo pipefail
# shellcheck source=scripts/lib.sh
source "$(dirname "$0")/lib.sh"
cd "$root"

need_rust
# The test fails when it had something to write: the second time it must not.
cargo test --quiet --locked --package wire --test reference >/dev/null 2>&1 ||
  cargo test --quiet --locked --package wire --test reference
cargo doc --workspace --no-deps --locked
say "docs/reference/README.md and target/doc are up to date"
