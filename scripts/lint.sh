#!/usr/bin/env bash
# Formats, lints, documentation, dependencies, licences, contract, spelling: all that needs no server.
# It goes on after a failure, so that one run shows everything.
set -euo pipefail
# shellcheck source=scripts/lib.sh
source "$(dirname "$0")/lib.sh"
cd "$root"

logs=target/lint
failed=()

# step NAME COMMAND…: one line if it is well, its output if not.
step() {
  local name=$1 started=$SECONDS
  shift
  if "$@" >"$logs/$name.log" 2>&1; then
    say "$name: ok ($((SECONDS - started)) s)"
  else
    cat "$logs/$name.log" >&2
    say "$name: FAILED"
    failed+=("$name")
  fi
}

mkdir -p "$logs"
need_rust
need_linters
need_cargo_deny
need_buf

step format cargo fmt --all --check
step clippy cargo clippy --workspace --all-targets --locked -- -D warnings
step docs env RUSTDOCFLAGS='-D warnings' cargo doc --workspace --no-deps --locked
step dependencies "$cargo_deny" --locked check bans licenses sources
step licences "$tools/lint/bin/reuse" lint
step contract "$buf" lint proto
step contract-breaking scripts/contract.sh
step shell "$tools/lint/bin/shellcheck" --external-sources scripts/*.sh .ci/run
step python "$tools/lint/bin/ruff" check examples scripts tests
step python-format "$tools/lint/bin/ruff" format --check examples scripts tests tests
step spelling "$tools/lint/bin/typos"

[ ${#failed[@]} = 0 ] || die "failed: ${failed[*]}"
say "everything is well"
