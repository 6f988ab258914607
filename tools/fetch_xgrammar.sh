#!/bin/sh
# Puts the sources of xgrammar (PyPI source archive, pinned) under out/xgrammar/, for src/constraint.
set -eu
cd "$(dirname "$0")/.."
version=0.2.8
expected=8305646fd2b319d6c3003f51a1665e54cbbe9cba1fb636bc41d0b46434ccbb80
target=out/xgrammar/xgrammar-$version

if [ -f "$target/include/xgrammar/xgrammar.h" ]; then
  exit 0
fi
mkdir -p out/xgrammar
download=$(mktemp -d out/xgrammar/partial.XXXXXX)
trap 'rm -rf "$download"' EXIT
python3 -m pip download --quiet --retries 1 --timeout 15 --no-deps --no-binary xgrammar --dest "$download" "xgrammar==$version"
if ! echo "$expected  $download/xgrammar-$version.tar.gz" | sha256sum --check --status; then
  echo "fetch_xgrammar: expected an archive with the sha256 $expected, found another; nothing was installed" >&2
  exit 1
fi
tar -xzf "$download/xgrammar-$version.tar.gz" -C "$download" "xgrammar-$version/cpp" "xgrammar-$version/include" \
  "xgrammar-$version/3rdparty/picojson" "xgrammar-$version/3rdparty/dlpack/include" "xgrammar-$version/LICENSE" "xgrammar-$version/NOTICE"
# A second run at the same time may have been faster; both have the same files.
mv -T "$download/xgrammar-$version" "$target" 2>/dev/null || [ -f "$target/include/xgrammar/xgrammar.h" ]
echo "installed $target"
