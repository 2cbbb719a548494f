#!/usr/bin/env bash
# Builds one service as a static binary, and puts into a folder what its image adds to the base:
#
#   usage: binary.sh SERVICE FOLDER
#
#   FOLDER/usr/local/bin/gateway
#   FOLDER/usr/share/doc/gateway/sbom.cdx.json    what is in it, as CycloneDX has it
#   FOLDER/usr/share/doc/gateway/licenses.txt     the licences of all of it
#
# Neither paths nor dates of this machine get into the binary. PROFILE (release) names cargo's profile. It needs cargo, a C
# compiler, cmake and what every Unix has; the build stage of the Containerfile runs it, too.
set -euo pipefail

[ $# = 2 ] || {
  echo "usage: binary.sh SERVICE FOLDER" >&2
  exit 64
}
cd "$(dirname "$0")/.."
root=$PWD
service=gateway-$1
folder=$2
profile=${PROFILE:-release}
home=${CARGO_HOME:-$HOME/.cargo}
rust=$(rustc --print sysroot)
target=$(rustc -vV | sed -n 's/^host: //p')
output=${CARGO_TARGET_DIR:-$root/target}

# Nothing of this machine is to show in the binary: neither where files lie, nor when it was made.
RUSTFLAGS="-C target-feature=+crt-static"
RUSTFLAGS+=" --remap-path-prefix=$root=/src --remap-path-prefix=$home=/cargo --remap-path-prefix=$rust=/rust"
RUSTFLAGS+=" --remap-path-prefix=$output=/target"
export RUSTFLAGS
export CFLAGS="-ffile-prefix-map=$root=/src -ffile-prefix-map=$output=/target -ffile-prefix-map=$home=/cargo"
export CXXFLAGS=$CFLAGS
export SOURCE_DATE_EPOCH=0 CARGO_INCREMENTAL=0
cargo build --quiet --locked --profile "$profile" --target "$target" --package "$service" \
  --config "profile.$profile.strip='symbols'"

built=$output/$target/$profile/$service
[ "$profile" != dev ] || built=$output/$target/debug/$service
docs=$folder/usr/share/doc/gateway
install -D -m 0755 "$built" "$folder/usr/local/bin/gateway"
mkdir -p "$docs"

# All that is linked: name, version and licence.
parts=$(cargo tree --quiet --locked --package "$service" --edges normal --target "$target" --prefix none \
  --format '{p}	{l}' | sed 's/ (\*)$//; s/ (proc-macro)//; s/ (\/[^	]*)//' | sort -u)

# It is named by what is in it, and has no date.
awk -F '\t' -v service="$service" -v sum="$(sha256sum "$built" | cut -d ' ' -f 1)" '
  BEGIN {
    print "{\"bomFormat\": \"CycloneDX\", \"specVersion\": \"1.5\", \"version\": 1,"
    printf " \"metadata\": {\"component\": {\"type\": \"application\", \"name\": \"%s\",\n", service
    printf "  \"hashes\": [{\"alg\": \"SHA-256\", \"content\": \"%s\"}]}},\n \"components\": [", sum
  }
  {
    split($1, part, " ")
    version = substr(part[2], 2)
    license = $2
    gsub("/", " OR ", license)
    printf "%s\n  {\"type\": \"library\", \"name\": \"%s\", \"version\": \"%s\",", (NR > 1 ? "," : ""), part[1], version
    printf " \"purl\": \"pkg:cargo/%s@%s\", \"licenses\": [{\"expression\": \"%s\"}]}", part[1], version, license
  }
  END { print "\n]}" }
' <<<"$parts" >"$docs/sbom.cdx.json"

# Each text once, with those that it is of.
texts=$(mktemp -d)
trap 'rm -rf "$texts"' EXIT
while IFS=$'\t' read -r part _; do
  name=${part% v*}-${part##* v}
  for text in "$home"/registry/src/*/"$name"/{LICEN[CS]E,COPYING,NOTICE,Licen[cs]e,licen[cs]e}*; do
    [ -f "$text" ] || continue
    sum=$(sha256sum "$text" | cut -d ' ' -f 1)
    echo "$name" >>"$texts/$sum.of"
    [ -e "$texts/$sum" ] || cp "$text" "$texts/$sum"
  done
done <<<"$parts"
{
  echo "$service is licensed under AGPL-3.0-only. It holds the works of others, under these licences."
  for text in "$texts"/*.of; do
    printf '\n\n==== %s\n\n' "$(sort -u "$text" | tr '\n' ' ')"
    cat "${text%.of}"
  done
  printf '\n\n==== %s\n\n' "$service"
  cat LICENSES/AGPL-3.0-only.txt
} >"$docs/licenses.txt"
