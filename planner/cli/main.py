"""The command `statform`: its commands by name, and the boundary at which every error becomes text and an exit code.

Results go to stdout; progress, warnings and errors to stderr. Exit codes: 0 success, 1 an error, 2 differences, 3 the
API or the state could not be reached or is in use, 130 interrupted.

What is imported late, here and nowhere below `commands` without a reason beside it: the declaration of a command, when
it is asked for, and the command's own file, when that runs. So `--help`, `--version` and a completed word load no wing,
and `plan` never loads httpx.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from importlib import import_module
from typing import cast

import click

from planner.cli.options import Common, Group
from planner.version import __version__

_COMMANDS = {
    "init": "Create a new project.",
    "validate": "Check the definitions and their queries, offline.",
    "plan": "Compare the definitions with the state, field by field.",
    "apply": "Show the plan, ask for approval, send the changes.",
    "show": "Show the state, or a saved plan.",
    "import": "Add sources that already exist to the state.",
    "refresh": "Update the state with what changed in Statsig.",
    "audit": "Show where the remote differs from the state.",
    "history": "Show who changed which field, with old and new values.",
    "state": "Show and change the state.",
    "doctor": "Check the set-up.",
    "schema": "Print a JSON Schema of the files, for editors, or of an output.",
    "completion": "Print a script that completes statform's commands in a shell.",
    "emulator": "Run a Console API on this machine, to try statform.",
}
"""The name of each command and the first sentence of its help, in the order in which one comes to need them."""


_ELSEWHERE = {
    "destroy": "To delete a source, add [[removed]] with delete = true; the plan shows the delete.",
    "fmt": "statform does not format files. Any TOML formatter can do it.",
    "help": "`statform --help` lists the commands, `statform COMMAND --help` describes one.",
    "version": "`statform --version` prints it.",
    "workspace": "`--env NAME` selects an environment.",
}
"""Commands that other tools have, and what there is here."""

_EPILOG = """
\b
Examples:
  statform init          create a new project
  statform import --all  take over what exists
  statform plan          see what would change
  statform apply         ask, then change it

Exit codes: 0 success, 1 an error, 2 differences (audit, plan --detailed-exitcode), 3 the API or the state can't be
reached or is in use, 130 interrupted.

Commands that use the API (apply, import, refresh, audit, doctor, plan --refresh) need a Console API key in
STATSIG_API_KEY, or in the file that STATSIG_API_KEY_FILE names.
"""


class _Statform(Group):
    """The commands, each of which is declared when it is asked for: one run needs one of them."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [*_COMMANDS]

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """As click does, from the table: click would have each command declared."""
        with formatter.section("Commands"):
            formatter.write_dl([*_COMMANDS.items()])

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        # resilient_parsing: a shell only completes what was typed, and must get no error.
        if args and (there := _ELSEWHERE.get(args[0])) and not ctx.resilient_parsing:
            raise click.UsageError(f"No such command '{args[0]}'. {there}", ctx)
        return super().resolve_command(ctx, args)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            return None
        # `import` is a word of Python, and can name neither a module nor a function.
        name = "import_" if cmd_name == "import" else cmd_name
        return cast("click.Command", getattr(import_module(f"planner.cli.{name}"), name))


_SETTINGS = {"help_option_names": ["-h", "--help"], "max_content_width": 100}


@click.group(cls=_Statform, context_settings=_SETTINGS, epilog=_EPILOG)
@click.version_option(__version__, message="statform %(version)s")
def cli() -> None:
    """Plan and apply the sources of a Statsig project's warehouse from TOML, as Terraform does for a cloud account."""


def run(arguments: Sequence[str]) -> int:
    """Run the command line and return its exit code. No error leaves this function."""
    common = Common()
    try:
        code = cli.main(list(arguments), prog_name="statform", standalone_mode=False, obj=common)
        return code if isinstance(code, int) else 0
    except (click.exceptions.Abort, KeyboardInterrupt):
        common.invocation().output.show_interrupted()
        return 130
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message(), err=True)
        return 1
    except click.ClickException as error:
        _say_escaped(common, f"Error: {error.format_message()}")
        if isinstance(error, click.UsageError):
            # What the parser of options finds wrong comes without a context.
            click.echo(f"Try: {error.ctx.command_path if error.ctx else 'statform'} --help", err=True)
        return 1
    except Exception as error:  # noqa: BLE001 - what is no error of ours is a defect, and told as one
        from planner.errors import PlannerError
        from state.errors import StateError

        if isinstance(error, OSError):
            # Of files we speak where they are used. This is the help, say, on a full disk.
            error = PlannerError(str(error))
        if not isinstance(error, PlannerError | StateError):
            _show_defect(common, error)
            return 1
        common.invocation().output.show_error(error)
        return error.exit_code


def _say_escaped(common: Common, lines: str) -> None:
    from planner.escape import escape

    shown = (escape(line.replace("\t", "    ")) for line in lines.split("\n"))
    common.invocation().output.say("\n".join(shown))


def _show_defect(common: Common, error: Exception) -> None:
    """Where statform itself failed. What the errors say is shown only without the key, which may be part of it."""
    import traceback

    try:
        from planner.console.key import read_key
        from planner.errors import UsageError

        try:
            key = read_key(os.environ)
        except UsageError:
            # Without a key, or with one that can't be used, there is none to hide.
            key = None
        text = "".join(traceback.format_exception(error))
        told = text if key is None else key.hide(text)
    except Exception:  # noqa: BLE001 - it is of no use to fail while telling of a failure
        told = f"{type(error).__name__}\n{''.join(traceback.format_tb(error.__traceback__))}"
    from planner.errors import PlannerError

    told = f"this is a bug in statform; please report it with these lines:\n{told.rstrip()}".replace("\t", "    ")
    common.invocation().output.show_error(PlannerError(told))
