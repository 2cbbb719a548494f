#!/usr/bin/env bash
# trixie.sh COMMAND…: runs a command of this repository where RabbitMQ is 4.x and Redis is Valkey: in a
# Debian 13 (trixie) below target/, which is made the first time. Everything that the command compiles must be
# compiled before: there is no compiler in there. Needs root.
set -euo pipefail
# shellcheck source=scripts/lib.sh
source "$(dirname "$0")/lib.sh"

system=$root/target/trixie

make_system() {
  have mmdebstrap || install mmdebstrap
  say "making a Debian 13 with RabbitMQ 4 and Valkey in $system"
  rm -rf "$system.new"
  mkdir -p "$root/target"
  mmdebstrap --quiet --mode=root --variant=minbase \
    --include=ca-certificates,procps,rabbitmq-server,valkey-server,valkey-tools \
    trixie "$system.new" || die "Debian 13 could not be had; is deb.debian.org or a mirror of it within reach?"
  # The tests start a Redis by its own name.
  ln -s valkey-server "$system.new/usr/bin/redis-server"
  ln -s valkey-cli "$system.new/usr/bin/redis-cli"
  mv "$system.new" "$system"
}

# In a mount namespace of its own, so that nothing of this stays.
inside() {
  local each
  mount -t proc proc "$system/proc"
  for each in /dev /sys /tmp "$HOME" "$root"; do
    mkdir -p "$system$each"
    mount --rbind "$each" "$system$each"
  done
  cp /etc/hosts "$system/etc/hosts"
  exec chroot "$system" env --unset IN_NAMESPACE --chdir "$root" "$@"
}

[ $# -gt 0 ] || die "usage: trixie.sh COMMAND…"
if [ "${IN_NAMESPACE:-}" ]; then
  inside "$@"
fi
[ "$(id -u)" = 0 ] || die "this needs root: it mounts folders into the Debian 13, in a namespace of its own"
[ -d "$system" ] || make_system
IN_NAMESPACE=yes exec unshare --mount -- "$0" "$@"
