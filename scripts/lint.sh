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

# The file is one that Docker takes, with each profile; and it is as hardened as it says.
composition() {
  local token=$logs/discord-token profile
  touch "$token"
  for profile in '' example http monitoring telemetry voice webhook; do
    DISCORD_TOKEN_FILE=$token COMPOSE_PROFILES=$profile compose --env-file .env.example config --quiet || return
  done
  DISCORD_TOKEN_FILE=$token compose --profile '*' config --format json | python3 scripts/compose.py
}

# Known vulnerabilities of dependencies. The database is at GitHub; where that cannot be had nothing is known, and this says so. With
# ADVISORIES=required that is a failure.
advisories() {
  if "$cargo_deny" --locked fetch db >"$logs/advisories.log" 2>&1; then
    step advisories "$cargo_deny" --locked check advisories
  elif [ "${ADVISORIES:-}" = required ]; then
    cat "$logs/advisories.log" >&2
    failed+=(advisories)
  else
    say "advisories: NOT CHECKED, as the database of advisories cannot be had: $(grep -o 'fatal: .*' "$logs/advisories.log" | head -n 1)"
  fi
}

mkdir -p "$logs"
need_rust
need_linters
need_cargo_deny
need_buf
need_promtool
need_chart
need_compose

step format cargo fmt --all --check
step clippy cargo clippy --workspace --all-targets --locked -- -D warnings
step docs env RUSTDOCFLAGS='-D warnings' cargo doc --workspace --no-deps --locked
advisories
step dependencies "$cargo_deny" --locked check bans licenses sources
step licences "$tools/lint/bin/reuse" lint
step contract "$buf" lint proto
step contract-breaking scripts/contract.sh
step containerfile "$tools/lint/bin/hadolint" Containerfile examples/python-worker/Containerfile
step compose composition
step shell "$tools/lint/bin/shellcheck" --external-sources scripts/*.sh deploy/*.sh .ci/run
step python "$tools/lint/bin/ruff" check deploy examples scripts tests
step python-format "$tools/lint/bin/ruff" format --check deploy examples scripts tests
step monitoring env PYTHONDONTWRITEBYTECODE=1 "$tools/lint/bin/python" scripts/monitoring.py "$promtool"
step chart env PYTHONDONTWRITEBYTECODE=1 "$tools/chart/bin/python" scripts/chart.py
step spelling "$tools/lint/bin/typos"

[ ${#failed[@]} = 0 ] || die "failed: ${failed[*]}"
say "everything is well"
