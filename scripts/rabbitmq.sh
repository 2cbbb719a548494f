#!/usr/bin/env bash
# A private RabbitMQ on free ports of 127.0.0.1, with all its files in one folder.
#
#   rabbitmq.sh start FOLDER    prints its AMQP URL when it accepts connections
#   rabbitmq.sh stop FOLDER     ends it, and its port mapper (epmd)
set -euo pipefail
# shellcheck source=scripts/lib.sh
source "$(dirname "$0")/lib.sh"

usage="usage: rabbitmq.sh start|stop FOLDER"
action=${1:?$usage}
folder=${2:?$usage}

free_ports() {
  python3 - <<'PYTHON'
import socket
sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(3)]
print(*(each.getsockname()[1] for each in sockets))
PYTHON
}

accepts() {
  (: <"/dev/tcp/127.0.0.1/$1") 2>/dev/null
}

# wait_for SECONDS COMMAND…: until it succeeds.
wait_for() {
  local end=$((SECONDS + $1))
  shift
  until "$@"; do
    [ $SECONDS -lt $end ] || return 1
    sleep 0.1
  done
}

alive() {
  kill -0 "$1" 2>/dev/null
}

gone() {
  ! alive "$1"
}

# ready_or_dead PORT PID: what it prints comes last; until then it may lose replies.
ready_or_dead() {
  { grep -q ' completed with ' "$folder/output.log" && accepts "$1"; } || gone "$2"
}

give_up() {
  stop
  die "$*"
}

start() {
  local server amqp dist epmd
  server=$(rabbitmq_server) || die "there is no rabbitmq-server on this machine"
  stop
  mkdir -p "$folder"
  folder=$(cd "$folder" && pwd)
  read -r amqp dist epmd < <(free_ports)
  rm -f "$folder/.erlang.cookie"
  (umask 377 && od -An -N16 -tx1 /dev/urandom | tr -d ' \n' >"$folder/.erlang.cookie")
  : >"$folder/rabbitmq.conf"
  echo '[].' >"$folder/enabled_plugins"

  export HOME=$folder ERL_EPMD_PORT=$epmd ERL_EPMD_ADDRESS=127.0.0.1
  epmd -port "$epmd" -address 127.0.0.1 >"$folder/epmd.log" 2>&1 </dev/null &
  echo $! >"$folder/epmd.pid"
  wait_for 10 accepts "$epmd" || give_up "epmd did not start; see $folder/epmd.log"

  # Told that it runs under systemd, the script becomes the server instead of its parent, so
  # that the process id is the server's own.
  RUNNING_UNDER_SYSTEMD=true \
    RABBITMQ_NODENAME=demo@localhost \
    RABBITMQ_NODE_IP_ADDRESS=127.0.0.1 \
    RABBITMQ_NODE_PORT=$amqp \
    RABBITMQ_DIST_PORT=$dist \
    RABBITMQ_MNESIA_BASE=$folder/data \
    RABBITMQ_LOG_BASE=$folder/log \
    ERL_CRASH_DUMP=$folder/erl_crash.dump \
    RABBITMQ_ENABLED_PLUGINS_FILE=$folder/enabled_plugins \
    RABBITMQ_CONFIG_FILE=$folder/rabbitmq.conf \
    RABBITMQ_CONF_ENV_FILE=/dev/null \
    RABBITMQ_PID_FILE=$folder/rabbitmq.pid \
    RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS='-kernel inet_dist_use_interface {127,0,0,1}' \
    "$server" >"$folder/output.log" 2>&1 </dev/null &
  local pid=$!
  echo "$pid" >"$folder/server.pid"
  wait_for 60 ready_or_dead "$amqp" "$pid" || give_up "RabbitMQ is not ready after 60 s; see $folder/output.log"
  alive "$pid" || give_up "RabbitMQ did not start; see $folder/output.log"
  echo "amqp://guest:guest@127.0.0.1:$amqp"
}

# end NAME: the process whose id is in NAME.pid, gently first. After a crash of the machine the
# id may be a stranger's by now, who is left alone.
end() {
  local pid file=$folder/$1.pid
  [ -f "$file" ] || return 0
  pid=$(cat "$file")
  case $(ps -o args= -p "$pid") in
    *epmd* | *beam* | *rabbitmq*)
      kill "$pid" 2>/dev/null || true
      wait_for 20 gone "$pid" || kill -9 "$pid" 2>/dev/null || true
      ;;
  esac
  rm -f "$file"
}

stop() {
  end server
  end epmd
  rm -rf "$folder/data"
}

case $action in
  start | stop) "$action" ;;
  *) die "$usage" ;;
esac
