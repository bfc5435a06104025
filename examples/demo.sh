#!/usr/bin/env bash
# The main job on a copy of examples/quickstart, for real: separate processes, and an emulator of the Console API on a free
# loopback port. Run it by `make demo`; BIN is the directory of the command `statform`, by default where PATH finds it.
set -euo pipefail

quickstart=$(cd "$(dirname "${BASH_SOURCE[0]}")/quickstart" && pwd)
if [[ -n ${BIN:-} ]]; then PATH=$(cd "$BIN" && pwd):$PATH; fi
work=$(mktemp -d)
emulator=

stop() {
  local code=$?
  trap - EXIT
  if [[ -n $emulator ]]; then
    kill "$emulator" 2>/dev/null || true
    wait "$emulator" 2>/dev/null || true
  fi
  rm -rf "$work"
  if ((code)); then echo "The demo failed with exit code $code." >&2; fi
  exit "$code"
}
trap stop EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM

# What comes now, then each command as one would type it.
tell() {
  printf '\n'
  printf '# %s\n' "$@"
}

run() {
  printf '\n$ %s\n' "$1"
  eval "$1"
}

# A command that has to end with another exit code than 0.
fails() {
  printf '\n$ %s\n' "$2"
  local code=0
  eval "$2" || code=$?
  echo "(exit code $code)"
  ((code == $1))
}

cp -R "$quickstart" "$work/quickstart"
cd "$work/quickstart"

# The emulator's first line, which says where it is, comes when it accepts connections; none comes if it dies before.
mkfifo "$work/line"
printf '$ %s\n' 'statform emulator --data emulator.json &'
statform emulator --data emulator.json >"$work/line" &
emulator=$!
exec 3<"$work/line"
read -r line <&3 || { echo 'The emulator did not start.' >&2; exit 1; }
echo "$line"

# The demo's own, whatever the caller has: it must not reach a real project.
unset STATSIG_API_KEY_FILE
run "export STATSIG_API_KEY=console-demo STATSIG_BASE_URL=${line##* }"

tell 'Three changes: fields of one source, a rename, and a new source.' \
  'A plan needs the files only; an apply also tells who reads what it changes.'
run 'statform plan'
run 'statform apply --auto-approve'
# Exit code 2, and so the end of this script, if there is anything left to change.
run 'statform plan --detailed-exitcode'

tell 'A changed query.'
run "echo 'WHERE NOT is_test_user' >> definitions/checkout.sql"
run 'statform apply --auto-approve'

tell 'A source that is no longer defined would only be forgotten. To delete it in' \
  'Statsig, say so twice: in statform.toml, and how many when you apply.'
run 'rm definitions/search.toml'
run "cat >> statform.toml <<'END'

[[removed]]
from = \"assignment_source.search_ranking\"
delete = true
END"
fails 1 'statform apply --auto-approve'
run 'statform apply --auto-approve --allow-deletes 1'

tell 'What does Statsig have that the state does not? Somebody made a source there.'
fails 2 'statform audit'
