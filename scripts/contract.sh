#!/usr/bin/env bash
# Compares the contract with what it was: proto/baseline.binpb. Fields are only ever added, and no number
# is used again. `contract.sh --accept` takes what was added into the baseline; never a breaking change.
set -euo pipefail
# shellcheck source=scripts/lib.sh
source "$(dirname "$0")/lib.sh"
cd "$root"

need_buf
baseline=proto/baseline.binpb
"$buf" breaking proto --against "$baseline" || die "the contract must stay readable for workers that know the one before"

if [ "${1:-}" = --accept ]; then
  "$buf" build proto --exclude-source-info --output "$baseline"
  say "$baseline is up to date: commit it"
# What the contract has and the baseline has not would go unprotected.
elif ! "$buf" breaking "$baseline" --config proto/buf.yaml --against proto >/dev/null; then
  die "$baseline lacks what the contract has: run 'make contract' and commit it"
fi
