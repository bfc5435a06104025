"""What commands have in common at the command line: the options of all, those of several, and what they complete."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal, TypeVar

import click

from planner.version import BASE_URL

if TYPE_CHECKING:
    from planner.commands.common import Invocation

_Declared = TypeVar("_Declared", bound=Callable[..., Any])


class Common:
    """The options that every command has, before its name or after it."""

    def __init__(self) -> None:
        self.directory = ""
        self.color = "auto"
        self.environment = os.environ.get("STATFORM_ENV") or None
        self.is_in_workflow = False
        self.actor: str | None = None
        self.patience_s: float | None = None
        self.asserted_project: str | None = None
        self._invocation: Invocation | None = None

    def invocation(self) -> Invocation:
        """What a command is given; it is made once the options are read, and is the same from then on."""
        if self._invocation is None:
            from planner.commands.common import Invocation
            from planner.output import Terminal
            from state import advice

            terminal = Terminal(self.color, self._place_in_repository() if self.is_in_workflow else None)
            # What a text advises may be typed where no STATFORM_ENV is set.
            advice.given.directory, advice.given.environment = self.directory, self.environment
            self._invocation = Invocation(
                self.directory,
                self.environment,
                terminal,
                is_in_workflow=self.is_in_workflow,
                actor=self.actor,
                patience_s=self.patience_s,
                asserted_project=self.asserted_project,
            )
        return self._invocation

    def _place_in_repository(self) -> str:
        # Either may be named through a link: GitHub drops an annotation whose path leads out of the workspace.
        workspace = os.path.realpath(os.environ.get("GITHUB_WORKSPACE") or ".")
        return os.path.relpath(os.path.realpath(self.directory or "."), workspace)


def _set_in_workflow(context: click.Context, _parameter: click.Parameter, value: bool) -> None:  # noqa: FBT001
    # So the same command line serves in a workflow and at home.
    if value and os.environ.get("GITHUB_ACTIONS") == "true":
        context.ensure_object(Common).is_in_workflow = True


def _set_common(name: str) -> Callable[[click.Context, click.Parameter, Any], None]:
    def set_(context: click.Context, _parameter: click.Parameter, value: Any) -> None:  # noqa: ANN401 - click's own type
        # None: it was not given here. It may have been given before the command's name, and that counts.
        if value is not None:
            setattr(context.ensure_object(Common), name, value)

    return set_


_COMMON_OPTIONS = (
    click.Option(
        ["-C", "--chdir"],
        type=click.Path(exists=True, file_okay=False),
        metavar="DIR",
        expose_value=False,
        callback=_set_common("directory"),
        help="Work in the project at DIR.",
    ),
    click.Option(
        ["--color"],
        type=click.Choice(["auto", "always", "never"]),
        expose_value=False,
        callback=_set_common("color"),
        help="Colour: when stdout is a terminal (auto, the default), always or never.",
    ),
    click.Option(
        ["--env"],
        metavar="NAME",
        expose_value=False,
        callback=_set_common("environment"),
        help="Use environments/NAME.toml. The default is in STATFORM_ENV.",
    ),
)


# What other tools call an option of ours. Terraform's long options begin with one dash.
_ELSEWHERE = {"--yes": "--auto-approve", "-y": "--auto-approve", "--output": "--out"}


class Command(click.Command):
    """A command with its own options, and those that all have."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - click's own
        super().__init__(*args, **kwargs)
        self.params += _COMMON_OPTIONS

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """As click does; of an option that is none it tells the one that is meant, where another tool calls it so."""
        given = [*args]
        try:
            return super().parse_args(ctx, args)
        except click.NoSuchOption as error:
            own = {option for parameter in self.params for option in parameter.opts}
            for word in given:
                name = word.partition("=")[0]
                meant = _ELSEWHERE.get(name, f"-{name}" if len(name) > 2 and not name.startswith("--") else "")
                if name not in own and meant in own:
                    raise click.UsageError(f"No such option '{name}'. Did you mean '{meant}'?", ctx) from None
            raise error from None


class Group(Command, click.Group):
    """A group whose help lists the commands as one comes to need them, which is how they stand in this file."""

    command_class = Command
    group_class = type

    def list_commands(self, ctx: click.Context) -> list[str]:
        """As they are declared; click would sort them by name."""
        return list(self.commands)


def complete_address(context: click.Context, _parameter: click.Parameter, incomplete: str) -> list[str]:
    """The addresses that a shell offers: those of the definitions and of the state."""
    from planner.commands.completion import addresses

    found = addresses(context.ensure_object(Common).directory)
    return [address for address in found if address.startswith(incomplete)]


def complete_type(_context: click.Context, _parameter: click.Parameter, incomplete: str) -> list[str]:
    """The types that a shell offers."""
    from planner.definitions.resources import RESOURCE_TYPES

    return [name for name in RESOURCE_TYPES if name.startswith(incomplete)]


def complete_field(_context: click.Context, _parameter: click.Parameter, incomplete: str) -> list[str]:
    """The fields that a shell offers: those of all types."""
    from planner.definitions.resources import RESOURCE_TYPES

    names = {field.name for type_ in RESOURCE_TYPES.values() for field in type_.fields} | {"name"}
    return sorted(name for name in names if name.startswith(incomplete))


def type_option(text: str) -> Callable[[_Declared], _Declared]:
    """`--type`, whose help is the text."""
    return click.option("--type", "types", multiple=True, metavar="TYPE", shell_complete=complete_type, help=text)


experiments_option = click.option(
    "--no-check-experiments",
    is_flag=True,
    help="Do not check which experiments read the changed sources.",
)
targets_option = click.option(
    "--target",
    "targets",
    multiple=True,
    shell_complete=complete_address,
    metavar="WHICH",
    help="Only this address, key or pattern, such as *_v2, and what it depends on; repeatable.",
)
excludes_option = click.option(
    "--exclude",
    "excludes",
    multiple=True,
    shell_complete=complete_address,
    metavar="WHICH",
    help="Not this address, key or pattern, nor what depends on it; repeatable.",
)
html_option = click.option(
    "--html",
    type=click.Path(dir_okay=False),
    metavar="FILE",
    help="Write an HTML page that needs no network.",
)
base_url_option = click.option(
    "--base-url",
    metavar="URL",
    envvar="STATSIG_BASE_URL",
    default=BASE_URL,
    show_default=True,
    show_envvar=True,
    help="Where the Console API is.",
)

actor_option = click.option(
    "--actor",
    metavar="NAME",
    expose_value=False,
    callback=_set_common("actor"),
    help="Who asks for the run, for the journal. The default comes from the CI.",
)
project_option = click.option(
    "--project",
    metavar="ID",
    expose_value=False,
    callback=_set_common("asserted_project"),
    help="The key's Statsig project, if its ID can't be read or is not the state's.",
)


def _set_patience(context: click.Context, _parameter: click.Parameter, text: str | None) -> None:
    if text is None:
        return
    digits, unit = text.rstrip("sm"), text[-1:]
    if not (digits.isascii() and digits.isdecimal() and len(digits) < 8 and text in (digits, digits + unit)):
        raise click.BadParameter(f"{text} is not a time such as 90s or 5m.")
    context.ensure_object(Common).patience_s = int(digits) * (60.0 if unit == "m" else 1.0)


lock_timeout_option = click.option(
    "--lock-timeout",
    metavar="TIME",
    expose_value=False,
    callback=_set_patience,
    help="Wait this long for another run on the state, such as 90s or 5m.",
)
github_option = click.option(
    "--github",
    is_flag=True,
    expose_value=False,
    callback=_set_in_workflow,
    help="In GitHub Actions, show errors beside their lines, and a plan in the job's summary.",
)
json_option = click.option("--json", "is_json", is_flag=True, help="Print for tools, in Terraform's format.")


def form_of(*, is_json: bool, is_markdown: bool) -> Literal["text", "json", "markdown"]:
    """How a command that has both options shows its result."""
    if is_json and is_markdown:
        raise click.UsageError("--json and --markdown can't be used together.", click.get_current_context())
    return "json" if is_json else "markdown" if is_markdown else "text"
