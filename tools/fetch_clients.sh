#!/bin/sh
# Makes the Python environments out/clients/NAME that tests/clients needs: two versions of each SDK, and schemathesis.
set -eu
cd "$(dirname "$0")/.."

# Make NAME PACKAGE==VERSION...: an environment appears whole or not at all.
Make() {
  name=$1
  shift
  if [ "$(cat "out/clients/$name/versions" 2>/dev/null)" = "$*" ]; then
    return 0
  fi
  rm -rf "out/clients/$name"
  python3 -m venv "out/clients/$name"
  "out/clients/$name/bin/python" -m pip install --quiet --retries 1 --timeout 15 "$@"
  echo "$*" >"out/clients/$name/versions"
  echo "installed out/clients/$name"
}

mkdir -p out/clients
Make openai-old openai==1.109.1
Make openai-new openai==3.57.0
Make anthropic-old anthropic==0.75.0
Make anthropic-new anthropic==2.14.0
Make schemathesis schemathesis==4.32.5
