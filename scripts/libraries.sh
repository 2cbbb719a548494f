#!/usr/bin/env bash
# Discord libraries of other languages, unmodified and from their registries, with gateway-api as their base URL and
# discord-sim behind it. `libraries.sh python` or `javascript` runs one alone.
set -euo pipefail
# shellcheck source=scripts/lib.sh
source "$(dirname "$0")/lib.sh"
cd "$root"

work=target/libraries
here=tests/libraries

# against_us COMMAND…
against_us() {
  "$tools/libraries/bin/python" "$here/run.py" target/debug/discord-sim target/debug/gateway-api "$@"
}

python() {
  # Python's own files stay in target/.
  export PYTHONPYCACHEPREFIX=$root/$work/pycache
  against_us "$tools/libraries/bin/python" "$here/python/library.py"
}

javascript() {
  have npm || install nodejs npm
  [ "$(node -p 'process.versions.node.split(".")[0]')" -ge 18 ] || die "this needs Node.js 18 or newer"
  local stamp=$work/javascript/node_modules/.wanted
  mkdir -p "$work/javascript"
  cp "$here"/javascript/* "$work/javascript"
  if ! cmp -s "$here/javascript/package-lock.json" "$stamp"; then
    say "installing npm packages"
    npm ci --loglevel error --no-progress --no-fund --no-audit --ignore-scripts \
      --cache "$work/npm" --prefix "$work/javascript" >/dev/null
    cp "$here/javascript/package-lock.json" "$stamp"
  fi
  against_us node "$work/javascript/library.mjs"
}

need_rust
# shellcheck disable=SC2046
need_python libraries $(cat "$here/python/requirements.txt")
build_for_tests
case ${1:-all} in
  python | javascript) "$1" ;;
  all)
    python
    javascript
    ;;
  *) die "it is python or javascript, not $1" ;;
esac
