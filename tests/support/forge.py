"""What a recipe reaches of GitHub and GitLab: `gh` and `curl` as far as the recipes use them, and as ready to say no.

Started as one of the two, by its first argument. All that the forge has is in the JSON file that FORGE names:
`comments`, `labels`, `issues`, `pulls`, `approvals`, and whether the token `is_read_only`.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

BOT = "github-actions[bot]"
# The expressions that the recipes give to gh's own jq, and what they are to give.
JQ: dict[str, Callable[[Any], str]] = {
    '.[] | select(.user.login == "github-actions[bot]" and (.body | startswith(env.MARKER))) | .id': lambda found: (
        "\n".join(
            str(one["id"])
            for one in found
            if one["user"]["login"] == BOT and one["body"].startswith(os.environ["MARKER"])
        )
    ),
    ".[0].html_url // empty": lambda found: found[0]["html_url"] if found else "",
    ".[0].number // empty": lambda found: str(found[0]["number"]) if found else "",
    '[.[] | select(.state == "approved") | .user.login] | unique | join(", ")': lambda found: ", ".join(
        sorted({one["user"]["login"] for one in found if one["state"] == "approved"})
    ),
    ".body": lambda found: found["body"],
}


class Refused(Exception):
    """What is told on stderr, with exit code 1."""


def options(words: list[str]) -> tuple[list[str], dict[str, str]]:
    """The words that are no option, and the options with their values; those without one are listed."""
    alone = {"--paginate", "--silent", "--force", "--fail", "--show-error"}
    plain, found = [], {}
    rest = iter(words)
    for word in rest:
        if not word.startswith("--"):
            plain.append(word)
        else:
            found[word.removeprefix("--")] = "" if word in alone else next(rest)
    return plain, found


def add_comment(forge: dict[str, Any], login: str, body: str) -> None:
    forge["comments"].append({"id": len(forge["comments"]) + 1, "user": {"login": login}, "body": body})


def gh(forge: dict[str, Any], words: list[str]) -> str:
    plain, given = options(words)
    what = " ".join(plain[:2])
    writes = given.get("method", "GET") != "GET" or (
        what.startswith("issue ") and what not in {"issue list", "issue view"}
    )
    if forge["is_read_only"] and writes:
        raise Refused("HTTP 403: Resource not accessible by integration")
    found: Any = None
    if plain[0] == "api":
        found = api(forge, plain[1], given)
    elif what == "label create":
        if given["description"] and (plain[2] not in forge["labels"] or "force" in given):
            forge["labels"] = sorted({*forge["labels"], plain[2]})
        else:
            raise Refused(f"label with name {plain[2]!r} already exists; use `--force` to update its color")
    else:
        found = issue(forge, plain, given)
    return JQ[given["jq"]](found) + "\n" if "jq" in given else ""


def api(forge: dict[str, Any], path: str, given: dict[str, str]) -> Any:
    body = Path(given["field"].removeprefix("body=@")).read_text() if "field" in given else ""
    match given.get("method", "GET"), path.removeprefix("repos/acme/infra/").split("/"):
        case "GET", ["issues", "7", "comments"]:
            return forge["comments"]
        case "POST", ["issues", "7", "comments"]:
            return add_comment(forge, BOT, body)
        case "PATCH", ["issues", "comments", id_]:
            return forge["comments"][int(id_) - 1].update(body=body)
        case "GET", ["commits", _, "pulls"]:
            return forge["pulls"]
        case "GET", ["actions", "runs", _, "approvals"]:
            return forge["approvals"]
    raise Refused(f"HTTP 404: {path}")


def issue(forge: dict[str, Any], plain: list[str], given: dict[str, str]) -> Any:
    issues = forge["issues"]
    match plain[1]:
        case "list":
            return [one for one in issues if given["label"] in one["labels"] and one["state"] == given["state"]]
        case "create":
            if given["label"] not in forge["labels"]:
                raise Refused(f"could not add label: {given['label']!r} not found")
            body, labels = Path(given["body-file"]).read_text(), [given["label"]]
            return issues.append(
                {"number": len(issues) + 1, "state": "open", "labels": labels, "body": body, "comments": []}
            )
        case "view":
            return issues[int(plain[2]) - 1]
        case "edit":
            return issues[int(plain[2]) - 1].update(body=Path(given["body-file"]).read_text())
        case "comment":
            return issues[int(plain[2]) - 1]["comments"].append(given["body"])
        case "close":
            return issues[int(plain[2]) - 1].update(state="closed")
    raise Refused(f'unknown command "{plain[1]}" for "gh issue"')


def curl(forge: dict[str, Any], words: list[str]) -> str:
    """GitLab's API, of the merge request 7."""
    (url,), given = options(words)
    path, method = url.partition("?")[0].removeprefix("https://gitlab.example.com/api/v4/"), given.get("request", "GET")
    if given["header"] != "PRIVATE-TOKEN: comments" or (forge["is_read_only"] and method != "GET"):
        raise Refused("curl: (22) The requested URL returned error: 403")
    notes = [{**one, "author": {"id": one["user"]["login"]}} for one in forge["comments"]]
    body = Path(given["data-urlencode"].removeprefix("body@")).read_text() if "data-urlencode" in given else ""
    match method, path.split("/"):
        case "GET", ["user"]:
            return json.dumps({"id": BOT})
        case "GET", ["projects", "1", "merge_requests", "7", "notes"]:
            return json.dumps(notes)
        case "POST", ["projects", "1", "merge_requests", "7", "notes"]:
            add_comment(forge, BOT, body)
            return "{}"
        case "PUT", ["projects", "1", "merge_requests", "7", "notes", id_]:
            forge["comments"][int(id_) - 1]["body"] = body
            return "{}"
    raise Refused(f"curl: (22) The requested URL returned error: 404 {url}")


def main(program: str, words: list[str]) -> int:
    path = Path(os.environ["FORGE"])
    forge = json.loads(path.read_text())
    try:
        sys.stdout.write({"gh": gh, "curl": curl}[program](forge, words))
    except Refused as error:
        sys.stderr.write(f"{error}\n")
        return 1
    path.write_text(json.dumps(forge))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2:]))
