#!/usr/bin/env bash
# Tools that read Terraform's plans read ours. Of two policy tools: a rule that holds passes, and one that doesn't fails.
set -euo pipefail
cd "$(dirname "$0")/../.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir "$work/features" "$work/rules"
cp tests/readers/sources.feature "$work/features"
cp tests/readers/sources.yaml "$work/rules"
"$BIN/statform" -C examples/quickstart plan --json --out "$work/saved.json" >"$work/plan.json"
"$BIN/statform" -C examples/quickstart show --json "$work/saved.json" | cmp - "$work/plan.json"

compliance() { "$READERS/terraform-compliance" -f "$work/features" -p "$work/plan.json" --no-ansi >"$work/out" 2>&1; }
checkov() {
  "$READERS/checkov" -f "$work/plan.json" --framework terraform_plan --external-checks-dir "$work/rules" \
    --check SOURCES_1 --skip-download --output json >"$work/out" 2>"$work/err"
}

compliance || { cat "$work/out"; exit 1; }
checkov || { cat "$work/out" "$work/err"; exit 1; }
grep -q '"passed": 3' "$work/out"

sed -i.bak 's/must have description/must have nothing_like_it/' "$work/features/sources.feature"
sed -i.bak 's/attribute: description/attribute: nothing_like_it/' "$work/rules/sources.yaml"
if compliance; then echo 'terraform-compliance passes what does not hold.' >&2; exit 1; fi
if checkov; then echo 'checkov passes what does not hold.' >&2; exit 1; fi
grep -q '"failed": 3' "$work/out"

"$READERS/tf-peek" "$work/plan.json" >"$work/out"
grep -qF '| 🛠️ Update |  | 2 |  | **2** |' "$work/out"
grep -qF '| `description` | `"Checkout"` | `"Checkout exposures"` |' "$work/out"
grep -qF '| `name` | `"signup_exposures"` | `"onboarding_exposures"` |' "$work/out"
echo 'terraform-compliance, checkov and tf-peek read the plan.'
