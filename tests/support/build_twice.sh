#!/usr/bin/env bash
# Builds wheel and sdist twice, as two people would: in other folders, with other umasks and times. Both have to have the
# same bytes. Usage: build_twice.sh PYTHON OUT, where PYTHON has hatchling.
set -euo pipefail
python=$1 out=$2
root=$(cd "$(dirname "$0")/../.." && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

build() {
  local folder=$1 mask=$2 time=$3
  mkdir -p "$folder"
  umask "$mask"
  (cd "$root" && tar -c --exclude=__pycache__ planner state statform.py tests examples ./*.md LICENSE Makefile pyproject.toml .gitignore) |
    tar -x --no-same-permissions -C "$folder"
  find "$folder" -exec touch -h -d "$time" {} +
  (cd "$folder" && env -u SOURCE_DATE_EPOCH PYTHONHASHSEED="$mask" TZ="$4" "$python" -m hatchling build -d "$folder/dist" >/dev/null)
}

build "$work/one" 022 '2026-01-01T00:00:00Z' UTC
build "$work/another place" 077 '2031-12-31T23:59:59Z' Asia/Kathmandu
for file in "$work"/one/dist/*; do
  cmp "$file" "$work/another place/dist/$(basename "$file")"
done
cp "$work"/one/dist/* "$out"
cd "$out" && sha256sum -- *.whl *.tar.gz
