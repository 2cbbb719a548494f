#!/bin/sh
# Makes the secrets by which servers, services and workers know each other, each user's in a folder of its own. What is there
# already stays, so it can be run again: after a user was added, or at each start.
#
#   usage: setup.sh FOLDER [DEFINITIONS]
#
#   FOLDER/<user>/password          of each user in DEFINITIONS (beside this file: rabbitmq/definitions.json)
#   FOLDER/<user>/amqp-url          the same as AMQP_URL has it, with AMQP_ADDRESS (rabbitmq:5672) for the server
#   FOLDER/<user>/redis-url         for gateway-api, -voice, -webhook and -ws, with REDIS_ADDRESS (valkey:6379)
#   FOLDER/<user>/discord-token     for gateway-api and gateway-ws, what the file DISCORD_TOKEN_FILE holds, if it is set
#   FOLDER/rabbitmq/definitions.json   DEFINITIONS with the hashes of the passwords: for RabbitMQ's load_definitions
#   FOLDER/valkey/users.acl         the users of Redis or Valkey: for its aclfile
#   FOLDER/grafana/password
#
# It needs nothing but a POSIX shell, and coreutils or BusyBox.
set -eu

die() {
  echo "setup: $*" >&2
  exit 1
}

[ $# -ge 1 ] || die "usage: setup.sh FOLDER [DEFINITIONS]"
folder=$1
definitions=${2:-$(dirname "$0")/rabbitmq/definitions.json}
[ -r "$definitions" ] || die "cannot read $definitions"
amqp=${AMQP_ADDRESS:-rabbitmq:5672}
redis=${REDIS_ADDRESS:-valkey:6379}

# keep FILE: writes stdin there in one step. Who may read it is decided by who has the folder.
keep() {
  mkdir -p "$(dirname "$1")"
  cat >"$1.new"
  chmod 0444 "$1.new"
  mv -f "$1.new" "$1"
}

# unhex DIGITS: the bytes.
unhex() {
  rest=$1
  while [ -n "$rest" ]; do
    tail=${rest#??}
    # shellcheck disable=SC2059
    printf "\\$(printf %03o "0x${rest%"$tail"}")"
    rest=$tail
  done
}

random() {
  head -c "$1" /dev/urandom | od -An -v -tx1 | tr -d ' \n'
}

# hash PASSWORD: what RabbitMQ keeps of it, with a salt of four bytes in front.
hash() {
  salt=$(random 4)
  digest=$({
    unhex "$salt"
    printf %s "$1"
  } | sha256sum | cut -d ' ' -f 1)
  unhex "$salt$digest" | base64 | tr -d '\n'
}

# password USER: makes it, unless it is there.
password() {
  [ -s "$folder/$1/password" ] || random 24 | keep "$folder/$1/password"
  cat "$folder/$1/password"
}

[ -d "$folder" ] || (umask 077 && mkdir -p "$folder")

users=$(sed -n '/"password_hash"/s/.*"name": *"\([^"]*\)".*/\1/p' "$definitions")
[ -n "$users" ] || die "there is no user in $definitions: each has a line of its own, with its name and password_hash"
script=
for user in $users; do
  secret=$(password "$user")
  echo "amqp://$user:$secret@$amqp/%2f" | keep "$folder/$user/amqp-url"
  script="$script/\"name\": *\"$user\"/s|\"password_hash\": *\"\"|\"password_hash\": \"$(hash "$secret")\"|
"
done
sed "$script" "$definitions" | keep "$folder/rabbitmq/definitions.json"
if grep -q '"password_hash": *""' "$folder/rabbitmq/definitions.json"; then
  die "not every user of $definitions stands on a line of its own"
fi

# Each has its own keys, and nothing that looks at all keys or changes the server. The default user cannot log in.
acl="user default off resetpass nocommands"
for user in gateway-api gateway-voice gateway-webhook gateway-ws; do
  case $user in
  gateway-voice) keys="voice:*" ;;
  gateway-ws) keys="meta leases replicas sessions identifies buckets tails" ;;
  *) keys="meta api routes limits window:* invalid" ;;
  esac
  secret=$(password "$user")
  acl="$acl
user $user on #$(printf %s "$secret" | sha256sum | cut -d ' ' -f 1) resetchannels"
  set -f
  for key in $keys; do acl="$acl ~discord:{*}:$key"; done
  set +f
  acl="$acl -@all +@connection +@read +@write +evalsha +script|load +time -@dangerous"
  echo "redis://$user:$secret@$redis/0" | keep "$folder/$user/redis-url"
done
echo "$acl" | keep "$folder/valkey/users.acl"

password grafana >/dev/null

if [ -n "${DISCORD_TOKEN_FILE:-}" ]; then
  [ -s "$DISCORD_TOKEN_FILE" ] || die "there is no token in $DISCORD_TOKEN_FILE"
  for user in gateway-api gateway-ws; do
    tr -d ' \r\n' <"$DISCORD_TOKEN_FILE" | keep "$folder/$user/discord-token"
  done
fi
