#!/usr/bin/env bash
# Gets and builds what the demo needs; scripts/demo/ is the demo itself.
#
#   AMQP_URL       a RabbitMQ to use; without it a private one is started
#   DEMO_SECONDS   for how long events flow (20)
#   DEMO_RATE      events per second (500)
#   DEMO_PROFILE   `quick` builds programs for it; `test` takes those of the tests, so CI needs no others
set -euo pipefail
# shellcheck source=scripts/lib.sh
source "$(dirname "$0")/lib.sh"
cd "$root"

worker=examples/python-worker
contract=target/demo/contract

need_rust
[ -n "${AMQP_URL:-}" ] || need_rabbitmq
# shellcheck disable=SC2046
need_python worker $(cat "$worker/requirements.txt")
say "building (the first time takes some minutes)"
case ${DEMO_PROFILE:-quick} in
  quick)
    cargo build --profile quick --locked --package gateway-http --package gateway-voice --package gateway-ws \
      --package sim
    programs=quick
    ;;
  test)
    build_for_tests
    programs=debug
    ;;
  *) die "DEMO_PROFILE=$DEMO_PROFILE: it is quick or test" ;;
esac
rm -rf "$contract"
# Python's own files stay in target/, too.
export PYTHONPYCACHEPREFIX=$root/target/demo/pycache
"$tools/worker/bin/python" "$worker/generate.py" "$contract"
export CONTRACT_FOLDER=$root/$contract DEMO_PROGRAMS=$root/target/$programs
exec "$tools/worker/bin/python" scripts/demo
