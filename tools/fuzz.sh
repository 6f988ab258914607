#!/usr/bin/env bash
# tools/fuzz.sh [SECONDS] [TARGET...]: builds the fuzz targets (clang 19) and runs each that long (10 s) from its kept corpus.
#
# New inputs go to build/fuzz/found/TARGET, a crashing one to build/fuzz/crashes/. Exit code 1 if any target fails.
set -euo pipefail
cd "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/.."

seconds=${1:-10}
[[ $seconds =~ ^[1-9][0-9]{0,5}$ ]] || { printf 'fuzz: expected a number of seconds, found "%s"\n' "$seconds" >&2; exit 1; }
shift || true
wanted=("$@")
command -v clang++-19 >/dev/null || { printf 'fuzz: clang++-19 not found; install it: apt-get install clang-19 libclang-rt-19-dev\n' >&2; exit 1; }

build=build/fuzz
mkdir -p build
if ! { { [ -e $build/build.ninja ] || cmake --preset fuzz; } && cmake --build $build --target fuzz_targets; } </dev/null >build/fuzz.log 2>&1; then
  tail -n 40 build/fuzz.log >&2
  printf 'fuzz: the build failed; all of its log: build/fuzz.log\n' >&2
  exit 1
fi

failed=0 ran=0
for source in tests/fuzz/fuzz_*.cc; do
  [ -e "$source" ] || continue
  name=$(basename "$source" .cc)
  if [ ${#wanted[@]} -gt 0 ] && [[ " ${wanted[*]} " != *" $name "* ]]; then continue; fi
  corpus=tests/fuzz/corpus/$name found=$build/found/$name log=$build/$name.log
  mkdir -p "$found" $build/crashes
  kept=()
  if [ -d "$corpus" ]; then kept+=("$corpus"); fi
  ran=$((ran + 1))
  if "$build/tests/fuzz/$name" -max_total_time="$seconds" -timeout=20 -rss_limit_mb=2048 -print_final_stats=1 \
    -artifact_prefix="$build/crashes/$name-" "$found" "${kept[@]}" </dev/null >"$log" 2>&1; then
    printf 'fuzz: %-24s ok, %s inputs tried\n' "$name" "$(awk '/number_of_executed_units/ { print $2 }' "$log")"
  else
    failed=$((failed + 1))
    tail -n 40 "$log"
    printf 'fuzz: %-24s FAILED; log: %s, input: %s/crashes\n' "$name" "$log" "$build"
  fi
done
printf 'fuzz: %d targets, %d failed\n' "$ran" "$failed"
[ "$failed" = 0 ] && [ "$ran" -gt 0 ]
