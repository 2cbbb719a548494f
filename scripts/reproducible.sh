#!/usr/bin/env bash
# Builds services once more, from a copy of this tree in another folder and with another Cargo home, and looks that the binaries are
# those that target/images has. What is not there is built first.
#
#   usage: reproducible.sh [SERVICE…]     api, http, voice (the default: it has most C code), webhook or ws
#
# Each build takes minutes. Whoever has the same compilers and libraries (the image that the Containerfile's build stage begins with)
# gets the same binary; `sha256sum` of /usr/local/bin/gateway in an image is what its sbom.cdx.json says.
set -euo pipefail
# shellcheck source=scripts/lib.sh
source "$(dirname "$0")/lib.sh"
cd "$root"
need_rust

copy=$(mktemp -d "${TMPDIR:-/var/tmp}/a-folder-with-another-name.XXXXXX")
trap 'rm -rf "$copy"' EXIT
mkdir -p "$copy/tree" "$copy/home"
git ls-files -z | tar --null --files-from - --create | tar --extract --directory "$copy/tree"
# Another home, but nothing to be fetched. A link would lead cmake to the first one.
cp --archive --link "${CARGO_HOME:-$HOME/.cargo}"/registry "$copy/home/" 2>/dev/null ||
  cp --archive "${CARGO_HOME:-$HOME/.cargo}"/registry "$copy/home/"

# built FOLDER: the digest of the binary there.
built() {
  sha256sum "$1/usr/local/bin/gateway" | cut -d ' ' -f 1
}

[ $# -gt 0 ] || set -- voice
for service in "$@"; do
  first=target/images/$service
  if [ ! -e "$first/usr/local/bin/gateway" ]; then
    say "building gateway-$service"
    CARGO_TARGET_DIR=$root/target/static scripts/binary.sh "$service" "$first"
  fi
  say "building gateway-$service again, elsewhere"
  CARGO_HOME=$copy/home CARGO_TARGET_DIR=$copy/built "$copy/tree/scripts/binary.sh" "$service" "$copy/$service"
  diff --recursive "$first" "$copy/$service" >/dev/null ||
    die "gateway-$service differs: $(built "$first") here, $(built "$copy/$service") there"
  say "gateway-$service is the same: $(built "$first")"
done
