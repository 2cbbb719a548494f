#!/usr/bin/env bash
# The benchmarks. Publishing is measured against AMQP_URL, or else against a private RabbitMQ.
set -euo pipefail
# shellcheck source=scripts/lib.sh
source "$(dirname "$0")/lib.sh"
cd "$root"

need_rust
cargo bench --locked --package bench --bench transcode
if [ -z "${AMQP_URL:-}" ]; then
  need_rabbitmq
  trap 'scripts/rabbitmq.sh stop target/bench/rabbitmq' EXIT
  AMQP_URL=$(scripts/rabbitmq.sh start target/bench/rabbitmq)
fi
cargo bench --locked --package bench --bench publish -- "$AMQP_URL"
cargo build --locked --release --package gateway-ws
cargo bench --locked --package bench --bench service -- "$AMQP_URL" "$root/target/release/gateway-ws"
need_redis
cargo build --locked --release --package gateway-api
cargo bench --locked --package bench --bench api -- "$root/target/release/gateway-api"
cargo build --locked --release --package gateway-http
# A worker in Python, with the classes of the contract.
worker=examples/python-worker
export CONTRACT_FOLDER=$root/target/bench/contract PYTHONPYCACHEPREFIX=$root/target/bench/pycache
# shellcheck disable=SC2046
need_python worker $(cat "$worker/requirements.txt")
rm -rf "$CONTRACT_FOLDER"
"$tools/worker/bin/python" "$worker/generate.py" "$CONTRACT_FOLDER"
cargo bench --locked --package bench --bench http -- \
  "$AMQP_URL" "$root/target/release/gateway-http" "$tools/worker/bin/python"
cargo build --locked --release --package gateway-voice
cargo bench --locked --package bench --bench voice -- \
  "$AMQP_URL" "$root/target/release/gateway-ws" "$root/target/release/gateway-voice"
