#!/usr/bin/env bash
# scripts/fuzz.sh [SECONDS [TARGET…]]: fuzzes the targets, all of them if none is named, each for
# that long. Inputs that lead somewhere new are kept in target/fuzz, and so is what a target fails on.
# FUZZ_SANITIZER=address runs them under a sanitizer; that takes a nightly compiler.
set -euo pipefail
# shellcheck source=scripts/lib.sh
source "$(dirname "$0")/lib.sh"
cd "$root"

work=$root/target/fuzz
sanitizer=${FUZZ_SANITIZER:-none}
seconds=${1:-60}
targets=("${@:2}")
if [ ${#targets[@]} = 0 ]; then targets=(frame opus parse render routing signature); fi

need_cargo_fuzz() {
  cargo_fuzz=$(command -v cargo-fuzz || echo "$tools/cargo-fuzz/bin/cargo-fuzz")
  if [ ! -x "$cargo_fuzz" ]; then
    say "building cargo-fuzz (takes a minute)"
    cargo install --quiet --locked --version 0.13.2 --root "$tools/cargo-fuzz" cargo-fuzz
  fi
}

# Nothing here is unsafe, so a sanitizer finds little and costs most of the speed. Without one the
# compiler is the same that builds what is shipped.
choose_compiler() {
  if [ "$sanitizer" = none ]; then
    export RUSTC_BOOTSTRAP=1
  else
    rustup toolchain list | grep -q '^nightly' || die "this needs a nightly compiler: run 'rustup toolchain install nightly'"
    export RUSTUP_TOOLCHAIN=nightly
  fi
  triple=$(rustc -vV | sed -n 's/^host: //p')
}

build() {
  say "building the targets with $(rustc --version), sanitizer: $sanitizer (takes some minutes)"
  cargo run --quiet --locked --package fuzz -- "$work/seeds"
  # The dependencies have the same versions as in what is shipped.
  cp Cargo.lock fuzz/libfuzzer/Cargo.lock
  "$cargo_fuzz" build --fuzz-dir fuzz/libfuzzer --target-dir "$work/$sanitizer" --target "$triple" \
    --sanitizer "$sanitizer" >"$work/build.log" 2>&1 && return
  tail -n 30 "$work/build.log" >&2
  die "the targets cannot be built; the whole output is in $work/build.log"
}

# fuzz TARGET: says how many inputs were tried if all is well, and what failed if not.
fuzz() {
  local target=$1 corpus=$work/corpus/$1 found=$work/found/$1- log=$work/$1.log
  mkdir -p "$corpus" "$work/found"
  say "$target: $seconds s"
  if "$work/$sanitizer/$triple/release/$target" "$corpus" "$work/seeds/$target" \
    -artifact_prefix="$found" -max_total_time="$seconds" -max_len=65536 -timeout=10 \
    -rss_limit_mb=2048 -print_final_stats=1 >"$log" 2>&1; then
    local tried places inputs
    tried=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")
    places=$(grep -o 'cov: [0-9]*' "$log" | tail -n 1 | cut -d ' ' -f 2)
    inputs=$(find "$corpus" -type f | wc -l)
    say "$target: ok: $tried inputs tried, $places places of the code reached, $((inputs)) inputs kept"
    return
  fi
  grep -a -A 2 -E 'panicked at|ERROR: |Test unit written' "$log" >&2 || tail -n 30 "$log" >&2
  say "$target: FAILED; the whole output is in $log"
  return 1
}

need_rust
have c++ || install g++
need_cargo_fuzz
mkdir -p "$work"
choose_compiler
build
failed=()
for target in "${targets[@]}"; do
  fuzz "$target" || failed+=("$target")
done
[ ${#failed[@]} = 0 ] || die "failed: ${failed[*]}"
