#!/usr/bin/env bash
# tools/nightly.sh [TEST [TOKENS]]: builds the release tests and runs those that take minutes: 128K to 2M tokens (tests/long_context/README.md), a
# million tokens of answers with secrets (tests/engine/engine_soak_test.cc), ten million ways to cut replies (src/text/reply_splits_test.cc), and a server
# with 120 % of the load that it admits for half an hour (tests/server/soak.py).
# TEST: a ctest name, such as engine_canary.
#
# For at most 70 minutes on two idle cores; needs 5 GiB of free memory. TOKENS (2097152) makes the longest test shorter, to try the tests themselves.
# The whole log: build/nightly.log. Exit code 1 if anything fails.
set -euo pipefail
cd "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/.."

build=build/nightly log=build/nightly.log
mkdir -p build
if ! { { [ -e $build/build.ninja ] || cmake --preset tests -B $build; } && cmake --build $build --target long_context_nightly_test engine_soak_test text_test baleen; } </dev/null >"$log" 2>&1; then
  tail -n 40 "$log" >&2
  printf 'nightly: the build failed; all of its log: %s\n' "$log" >&2
  exit 1
fi

start=$SECONDS failed=0
BALEEN_NIGHTLY_TOKENS=${2:-2097152} ctest --test-dir $build -C Nightly -L nightly -R "${1:-.}" --no-tests=error -V </dev/null >"$log" 2>&1 || failed=1
sed -n 's/^[0-9]*: \(| .*\)/\1/p; s/^[0-9]*: \([0-9]* \(tokens generated\|splits\).*\)/\1/p; s/^[0-9]*: \([0-9]* s, {.*\)/\1/p; s/^[0-9]*: \(\[ *\(OK\|FAILED\) *\] .*\)/\1/p' "$log"
if [ $failed = 1 ]; then
  grep -n 'Failure' "$log" | head -n 20 || true
  printf 'nightly: FAILED after %d s; the whole log: %s\n' $((SECONDS - start)) "$log"
  exit 1
fi
printf 'nightly: passed in %d s; "2M" stands for %s tokens\n' $((SECONDS - start)) "${2:-2097152}"
