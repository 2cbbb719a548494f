#!/usr/bin/env bash
# Builds the image of each service on each base, says how large they are, and tries them: read-only, without capabilities and new
# privileges, as nobody, with little memory and few processes, events, requests, interactions, webhooks and a call have to pass. Meanwhile
# it says how soon each was ready and how much memory it needs. What is too large, in an image or in memory, fails.
#
#   SERVICES       which (api http voice webhook ws)
#   BINARIES       prebuilt (the default): compiled here by scripts/binary.sh, once for both bases. build: in the Containerfile's
#                  build stage, as `docker build` does it, which takes ten minutes on two cores. given: what scripts/binary.sh has put
#                  into target/images/SERVICE before
#   PROFILE        cargo's profile for what is prebuilt (release). With dev, which is built in a third of the time, size and memory
#                  are said, but not judged
#   BASES          real: the images that the Containerfile names. standin: the same, made here of what this machine has, for where
#                  those cannot be had: a root without any program, and one with BusyBox. Without it, whichever works
#   CONTAINERS     required (the default), or optional: where no container can be run it says why, and that is all
set -euo pipefail
# shellcheck source=scripts/lib.sh
source "$(dirname "$0")/lib.sh"
cd "$root"

read -ra services <<<"${SERVICES:-api http voice webhook ws}"
binaries=${BINARIES:-prebuilt}
export PROFILE=${PROFILE:-release}
stage=${binaries/given/prebuilt}
# Of nobody: it stands in RFC 8032.
public_key=d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a
work=$root/target/images

# Without a daemon, and where neither overlays nor cgroups of systemd can be had.
builder=(buildah --storage-driver vfs --root "$work/storage" --runroot "$work/run")
runner=(podman --storage-driver vfs --root "$work/storage" --runroot "$work/run" --cgroup-manager cgroupfs --events-backend file)
# Podman's own health checks want systemd's timers; `alive` asks in their place.
hardened=(--runtime runc --no-healthcheck --network host --read-only --cap-drop all --security-opt no-new-privileges
  --memory 64m --pids-limit 50 --ulimit nofile=1024:1024 --ulimit nproc=1000:1000 --log-driver none)

need_containers() {
  { have buildah && have podman && have runc && have busybox; } || install buildah busybox-static podman runc
}

# trial: runs a container that does nothing; of what there is for it everything is made.
trial() {
  need_containers
  mkdir -p "$work"
  # What the last time has left.
  "${builder[@]}" rm --all >/dev/null
  "${builder[@]}" rmi --prune >/dev/null
  standins
  "${runner[@]}" run --rm "${hardened[@]}" --entrypoint /bin/sh localhost/standin/alpine -c true
}

# certificates FOLDER: whom the bases trust.
certificates() {
  mkdir -p "$1/etc/ssl/certs" "$1/tmp"
  cp -L /etc/ssl/certs/ca-certificates.crt "$1/etc/ssl/certs/"
}

# standins: images in place of those that cannot be had.
standins() {
  local folder=$work/standins
  rm -rf "$folder"
  certificates "$folder/distroless"
  certificates "$folder/alpine"
  mkdir -p "$folder/alpine/bin"
  cp "$(command -v busybox)" "$folder/alpine/bin/busybox"
  ln -s busybox "$folder/alpine/bin/sh"
  local base
  for base in distroless alpine; do
    tar --sort=name --owner=0 --group=0 --numeric-owner --mtime=@0 -C "$folder/$base" -cf "$folder/$base.tar" .
    printf 'FROM scratch\nADD %s.tar /\n' "$base" >"$folder/Containerfile.$base"
    "${builder[@]}" bud --isolation chroot --quiet --file "$folder/Containerfile.$base" --tag "standin/$base" "$folder" >/dev/null
  done
}

# limit SERVICE: the most that its image may have to be fetched, compressed.
limit() {
  case $1 in
    voice) echo 25000000 ;;
    *) echo 15000000 ;;
  esac
}

# image SERVICE BASE: builds it, and says how large it is.
image() {
  local name=discord-gateway/$1:$2 archive=$work/$1-$2.tar level=-9 size limit
  limit=$(limit "$1")
  [ "$PROFILE" != dev ] || level=-1
  "${builder[@]}" bud --isolation chroot --quiet --format docker --pull=false --timestamp 0 --file Containerfile --target "$2" \
    --build-arg SERVICE="$1" --build-arg BINARIES="$stage" "${bases[@]}" \
    --build-arg REVISION="$(git rev-parse HEAD)" --tag "$name" . >/dev/null
  rm -f "$archive"
  "${builder[@]}" push --quiet "$name" "docker-archive:$archive" >/dev/null
  size=$(gzip "$level" <"$archive" | wc -c)
  rm -f "$archive"
  say "$name: $((size / 1000)) kB compressed, in $("${runner[@]}" image inspect --format '{{len .RootFS.Layers}}' "$name") layers"
  [ "$PROFILE" = dev ] || [ "$size" -le "$limit" ] || die "$name has more than $((limit / 1000)) kB"
}

# shape SERVICE BASE: what every image is to be like.
shape() {
  local name=discord-gateway/$1:$2 label
  local show=("${runner[@]}" image inspect --format)
  [ "$("${show[@]}" '{{.Config.User}}' "$name")" = 65532:65532 ] || die "$name: another user"
  [[ "$("${show[@]}" '{{.Config.Healthcheck.Test}}' "$name")" = '[CMD /usr/local/bin/gateway --health]' ]] || die "$name: no healthcheck"
  for label in title version revision licenses; do
    [ -n "$("${show[@]}" "{{index .Config.Labels \"org.opencontainers.image.$label\"}}" "$name")" ] || die "$name: no label $label"
  done
  "${runner[@]}" run --rm "${hardened[@]}" "$name" --version | grep -q "^gateway-$1 " || die "$name does not run"
  # With a shell there would be one; without a root that can be written it would help nobody.
  if [ "$2" = distroless ]; then
    if "${runner[@]}" run --rm "${hardened[@]}" --entrypoint /bin/sh "$name" -c true 2>/dev/null; then die "$name has a shell"; fi
  elif "${runner[@]}" run --rm "${hardened[@]}" --entrypoint /bin/sh "$name" -c 'echo >/etc/gateway/x' 2>/dev/null; then
    die "$name can be written to"
  fi
}

# alive SERVICE BASE: runs it, looks at its process, and asks for its health as the image says.
alive() {
  local name=discord-gateway/$1:$2 container=try-$1-$2 port pid line
  port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
  "${runner[@]}" run --detach --rm --name "$container" "${hardened[@]}" --env "ADMIN_ADDRESS=127.0.0.1:$port" \
    --env DISCORD_TOKEN=x --env DISCORD_INTENTS=0 --env DISCORD_APPLICATION_ID=1 --env "DISCORD_PUBLIC_KEY=$public_key" \
    --env DISCORD_API_URL=http://127.0.0.1:1 --env AMQP_URL=amqp://127.0.0.1:1 --env HTTP_ADDRESS=127.0.0.1:0 "$name" >/dev/null
  pid=$("${runner[@]}" inspect --format '{{.State.Pid}}' "$container")
  for line in $'Uid:\t65532\t65532\t65532\t65532' $'CapEff:\t0000000000000000' $'CapBnd:\t0000000000000000' $'NoNewPrivs:\t1'; do
    grep -qx "$line" "/proc/$pid/status" || die "$name: its process has not ${line//$'\t'/ }"
  done
  local tries=0
  until "${runner[@]}" exec "$container" /usr/local/bin/gateway --health >/dev/null 2>&1; do
    tries=$((tries + 1))
    [ $tries -lt 50 ] || die "$name: it is not healthy"
    sleep 0.1
  done
  if "${runner[@]}" exec "$container" /usr/local/bin/gateway --ready 2>/dev/null; then die "$name: ready without a broker"; fi
  "${runner[@]}" stop --time 5 "$container" >/dev/null
}

# programs BASE: a folder of programs that are containers, for those who expect programs. What else is in it they may read.
programs() {
  local folder=$work/programs-$1 service
  rm -rf "$folder"
  mkdir -p "$folder"
  for service in "${services[@]}"; do
    {
      echo '#!/bin/sh'
      echo 'export PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root'
      printf 'exec'
      printf ' %q' "${runner[@]}" run --rm --interactive --env-host --volume "$folder:$folder:ro" "${hardened[@]}" "discord-gateway/$service:$1"
      # shellcheck disable=SC2016
      echo ' "$@"'
    } >"$folder/gateway-$service"
    chmod +x "$folder/gateway-$service"
  done
  echo "$folder"
}

mkdir -p "$root/target"
# In a shell of its own, which ends at what fails first.
set +e
(
  set -e
  trial
) >"$root/target/images.log" 2>&1
can_run=$?
set -e
if [ $can_run != 0 ]; then
  tail -n 20 "$root/target/images.log" >&2
  [ "${CONTAINERS:-required}" = optional ] || die "no container can be run here"
  say "THE IMAGES ARE NOT TRIED, as no container can be run here"
  exit
fi
need_rabbitmq
need_redis
bases=(--build-arg DISTROLESS_IMAGE=localhost/standin/distroless --build-arg ALPINE_IMAGE=localhost/standin/alpine)
if [ "${BASES:-}" != standin ]; then
  if "${builder[@]}" pull --quiet "$(sed -n 's/^ARG ALPINE_IMAGE=//p' Containerfile)" >/dev/null 2>&1; then
    bases=()
  elif [ "${BASES:-}" = real ]; then
    die "the base images cannot be had"
  else
    say "the base images cannot be had: stand-ins are taken"
  fi
fi
if [ "$binaries" = prebuilt ]; then
  need_rust
  for service in "${services[@]}"; do
    say "building gateway-$service"
    rm -rf "${work:?}/$service"
    CARGO_TARGET_DIR=$root/target/static scripts/binary.sh "$service" "$work/$service"
  done
fi
for service in "${services[@]}"; do
  for base in distroless alpine; do
    image "$service" "$base"
    shape "$service" "$base"
    alive "$service" "$base"
  done
done
if [ "${#services[@]}" = 5 ]; then
  need_rust
  build_for_tests
  any_size=()
  [ "$PROFILE" != dev ] || any_size=(--any-size)
  for base in distroless alpine; do
    say "events, requests, interactions, webhooks and a call through the images on $base"
    target/debug/images "$(programs "$base")" ${any_size[@]+"${any_size[@]}"}
  done
fi
say "all images are well"
