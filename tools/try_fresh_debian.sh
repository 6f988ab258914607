#!/usr/bin/env bash
# Tries the two commands of README.md the way a newcomer meets them: a fresh Debian 12 made with debootstrap, a clone of this
# repository inside it, nothing else of this machine. Uses this machine's own package sources, certificates and pip settings.
#
#   tools/try_fresh_debian.sh            all: make the root, chat, test
#   tools/try_fresh_debian.sh --chat     make the root and chat only
#   tools/try_fresh_debian.sh --root     only make the root and show that packages install
#   KEEP=1                               leaves the root in place and prints where it is
#
# Needs root, debootstrap and about 4 GB in ${TMPDIR:-/tmp}. Exit code: 0 when everything asked for worked.
set -euo pipefail

repository=$(cd "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/.." && pwd)
what=${1:---all}
case $what in
  --all | --chat | --root) ;;
  *) sed -n '2,10s/^# \{0,1\}//p' "${BASH_SOURCE[0]}" >&2; exit 1 ;;
esac

Stop() { printf 'try_fresh_debian: %s\n' "$*" >&2; exit 1; }
Step() { printf '\n== %s (%s s)\n' "$*" "$SECONDS"; }

[ "$(id -u)" = 0 ] || Stop "expected root (debootstrap and chroot need it), found uid $(id -u); run it with sudo"
command -v debootstrap >/dev/null || Stop "debootstrap not found; install it: apt-get install debootstrap"

# Everything below happens in an own mount namespace, so that no mount outlives the script however it ends.
if [ -z "${BALEEN_OWN_MOUNTS:-}" ]; then
  BALEEN_OWN_MOUNTS=1 exec unshare --mount --propagation private -- "$0" "$what"
fi

root=$(mktemp -d "${TMPDIR:-/tmp}/fresh-debian.XXXXXX")
Clean() {
  umount -R "$root/proc" "$root/dev" 2>/dev/null || true
  if [ -n "${KEEP:-}" ]; then printf 'kept: %s\n' "$root"; else rm -rf --one-file-system "$root"; fi
}
trap Clean EXIT

Mirror() {  # the first package source this machine itself uses
  { grep -hE '^URIs:' /etc/apt/sources.list.d/*.sources; grep -hE '^deb ' /etc/apt/sources.list /etc/apt/sources.list.d/*.list; } 2>/dev/null \
    | grep -oE '[a-z+]+://[^ ]+' | head -n 1 || true
}

Step "debootstrap"
mirror=$(Mirror)
[ -n "$mirror" ] || Stop "no package source found in /etc/apt"
debootstrap --variant=minbase --include=ca-certificates bookworm "$root" "$mirror" >"$root.log" 2>&1 \
  || { tail -n 20 "$root.log" >&2; Stop "debootstrap failed; its log: $root.log"; }
rm -f "$root.log"

# The same sources, apt settings, certificates and pip settings as here.
rm -f "$root/etc/apt/sources.list"
cp -L /etc/apt/sources.list "$root/etc/apt/" 2>/dev/null || true
cp -L /etc/apt/sources.list.d/*.list /etc/apt/sources.list.d/*.sources "$root/etc/apt/sources.list.d/" 2>/dev/null || true
cp -L /etc/apt/apt.conf.d/* "$root/etc/apt/apt.conf.d/" 2>/dev/null || true
for file in /etc/resolv.conf /etc/hosts /etc/pip.conf /etc/ssl/certs/ca-certificates.crt; do
  if [ -r "$file" ]; then cp -L "$file" "$root$file"; fi
done
mount -t proc proc "$root/proc" 2>/dev/null || printf 'note: no /proc inside (mount refused)\n'
mount --rbind /dev "$root/dev" 2>/dev/null || printf 'note: the plain /dev of debootstrap is used (mount refused)\n'

keep=()
while IFS= read -r line; do
  name=${line%%=*}
  case $name in
    PIP_FIND_LINKS) ;;  # a folder of this machine
    PIP_* | *_proxy | *_PROXY | SSL_CERT_FILE | SSL_CERT_DIR | REQUESTS_CA_BUNDLE | CURL_CA_BUNDLE) keep+=("$line") ;;
  esac
done < <(env)
Inside() {
  chroot "$root" /usr/bin/env -i HOME=/root PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin LANG=C.UTF-8 TERM=dumb \
    "${keep[@]}" bash -c "$1"
}

Step "g++, cmake and pip"
Inside 'apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends g++ cmake python3-pip' >"$root/packages.log" 2>&1 \
  || { tail -n 20 "$root/packages.log" >&2; Stop "packages do not install inside"; }
Inside 'g++ --version | head -n 1; cmake --version | head -n 1; pip --version'

Step "a clone of $(git -C "$repository" rev-parse --short HEAD)"
git -c safe.directory='*' clone --quiet --no-hardlinks "$repository" "$root/opt/baleen"
if [ "$what" = --root ]; then Step "done"; exit 0; fi

failed=0
Try() {  # Try NAME COMMAND: runs it inside, reports its time and exit code
  local begin=$SECONDS code=0
  Step "$1: $2"
  Inside "cd /opt/baleen && $2" || code=$?
  printf -- '-- %s: exit %d after %d s\n' "$1" "$code" "$((SECONDS - begin))"
  [ "$code" = 0 ] || failed=1
}
Try "first chat" "printf 'hello\n' | ./baleen chat"
Try "second chat" "printf 'hello\n' | ./baleen chat"
if [ "$what" = --all ]; then Try "test" "./baleen test"; fi

Step "done"
exit "$failed"
