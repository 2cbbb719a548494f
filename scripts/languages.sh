#!/usr/bin/env bash
# Decodes the golden events of tests/golden in other languages, with what protobuf generates for them, and
# compares each with the JSON that it was made of. Some go to the worker in examples/, too. A worker in Python
# answers interactions and uses a webhook, with services, a private RabbitMQ and discord-sim around it. A third one takes
# part in a trace that begins and ends at Discord.
# `languages.sh python` or `typescript` runs one alone.
set -euo pipefail
# shellcheck source=scripts/lib.sh
source "$(dirname "$0")/lib.sh"
cd "$root"

work=target/languages

python() {
  local worker=examples/python-worker
  # shellcheck disable=SC2046
  need_python worker $(cat "$worker/requirements.txt")
  # What generated the last time must not hide what is no longer generated.
  rm -rf "$work/python"
  # Python's own files stay in target/, too.
  export PYTHONPYCACHEPREFIX=$root/$work/pycache
  "$tools/worker/bin/python" "$worker/generate.py" "$work/python"
  PYTHONPATH=$work/python "$tools/worker/bin/python" tests/languages/python/golden.py tests/golden
  CONTRACT_FOLDER=$root/$work/python PYTHONPATH=$worker \
    "$tools/worker/bin/python" tests/languages/python/example.py tests/golden
  build_for_tests
  trap 'cd "$root" && rabbitmq stop "$work/rabbitmq"' EXIT
  local amqp
  amqp=$(rabbitmq start "$work/rabbitmq")
  PYTHONPATH=$work/python:tests/libraries \
    "$tools/worker/bin/python" tests/languages/python/services.py target/debug "$amqp"
  # shellcheck disable=SC2046
  need_python traces $(cat "$worker/requirements.txt" "$worker/requirements-traces.txt")
  CONTRACT_FOLDER=$root/$work/python PYTHONPATH=$work/python:tests/libraries \
    "$tools/traces/bin/python" tests/languages/python/traces.py target/debug "$amqp" "$worker/ping.py"
}

# need_typescript: the packages that package-lock.json names, in a copy of the project in target/.
need_typescript() {
  need_buf
  [ "$(node -p 'process.versions.node.split(".")[0]')" -ge 18 ] || die "this needs Node.js 18 or newer"
  local stamp=$work/typescript/node_modules/.wanted
  mkdir -p "$work/typescript"
  rm -rf "$work"/typescript/{gen,out,*.ts,*.json,*.yaml}
  cp tests/languages/typescript/* "$work/typescript"
  cmp -s tests/languages/typescript/package-lock.json "$stamp" && return
  say "installing npm packages for TypeScript"
  npm ci --loglevel error --no-progress --no-fund --no-audit --ignore-scripts \
    --cache "$work/npm" --prefix "$work/typescript" >/dev/null
  cp tests/languages/typescript/package-lock.json "$stamp"
}

typescript() {
  need_typescript
  cd "$work/typescript"
  "$buf" generate "$root/proto"
  node_modules/.bin/tsc
  node out/golden.js "$root/tests/golden"
}

# A server of its own, of the kind that test.sh is asked for.
rabbitmq() {
  ${BROKER:+scripts/trixie.sh} scripts/rabbitmq.sh "$@"
}

need_rust
[ -n "${BROKER:-}" ] || need_rabbitmq
case ${1:-all} in
  python | typescript) "$1" ;;
  all)
    python
    typescript
    ;;
  *) die "it is python or typescript, not $1" ;;
esac
