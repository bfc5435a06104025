"""`make audit-deps`: what an installed statform brings along, with licences, checked against known vulnerabilities.

Exit codes: 0 all were checked and nothing is known; 1 a vulnerability is known, or a licence is none that we take;
2 not all could be checked. pip-audit itself says "No known vulnerabilities found" where its service knows nothing.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

LICENCES = ("MIT", "BSD", "ISC", "Apache", "PSF", "Python Software Foundation", "MPL", "Mozilla Public License")
OURS = "statform"


def judge(report: dict[str, Any]) -> tuple[int, list[str]]:
    """The exit code, and what is to be said, of pip-audit's JSON; our own package is on no list."""
    packages = [one for one in report["dependencies"] if one["name"] != OURS]
    skipped = [one for one in packages if "skip_reason" in one]
    known = [(one, found) for one in packages for found in one.get("vulns", ())]
    lines = [
        f"{one['name']} {one['version']}: {found['id']}, mended in {', '.join(found['fix_versions']) or 'no version'}"
        for one, found in known
    ]
    lines += [f"NOT CHECKED: {one['skip_reason']}" for one in skipped]
    checked = len(packages) - len(skipped)
    lines.append(f"{checked} of {len(packages)} packages were checked; {len(known)} known vulnerabilities.")
    return 1 if known else 0 if packages and not skipped else 2, lines


def check(packages: Path, tools: Path) -> tuple[int, list[str]]:
    """Ask pip-audit, which is among the tools, of what is installed in `packages`."""
    words = [tools / "pip-audit", "--path", packages, "--format", "json", "--progress-spinner", "off"]
    ran = subprocess.run(words, capture_output=True, encoding="utf-8", check=False)
    try:
        return judge(json.loads(ran.stdout))
    except (ValueError, KeyError, TypeError):
        reason = (ran.stderr.strip() or "it said nothing").splitlines()[-1]
        return 2, [f"NOT CHECKED: pip-audit could not ask its service, and ended with {ran.returncode}: {reason}"]


def main(python: Path) -> int:
    """Of the environment that `python` belongs to."""
    tools = Path(sys.executable).parent
    licences = ["--format=plain", "--partial-match", f"--allow-only={';'.join(LICENCES)}"]
    listed = subprocess.run([tools / "pip-licenses", f"--python={python}", *licences], check=False)
    where = [python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"]
    packages = subprocess.run(where, check=True, capture_output=True, encoding="utf-8").stdout.strip()
    code, lines = check(Path(packages), tools)
    sys.stdout.write("\n".join(lines) + "\n")
    if listed.returncode:
        sys.stdout.write(f"A licence is none of {', '.join(LICENCES)}.\n")
    return 1 if listed.returncode else code


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
