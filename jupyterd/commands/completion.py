"""``jupyterd completion``: a script for a shell, and the words that it offers."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable, Sequence
from importlib import import_module
from typing import Any, TextIO

from jupyterd.commands import COMMANDS
from jupyterd.commands.base import Command, local_servers, make_parser
from jupyterd.commands.client import CommandError, ServerClient
from jupyterd.commands.log_level import LEVELS, NONE
from jupyterd.settings.aliases import ALIASES, FLAGS
from jupyterd.supervision.running_servers import list_running_servers

OTHERS = ("list", "stop", "password", "help")
"""Words that the server itself knows."""

SCRIPTS = {
    "bash": """\
# source <(jupyterd completion bash), or save it as ~/.local/share/bash-completion/completions/jupyterd
_jupyterd() {
    local IFS=$'\\n'
    COMPREPLY=($(jupyterd completion --words "${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null))
}
complete -o default -F _jupyterd jupyterd
""",
    "zsh": """\
#compdef jupyterd
# source <(jupyterd completion zsh), or save it as _jupyterd in a directory of $fpath
_jupyterd() {
    local -a found
    found=("${(@f)$(jupyterd completion --words "${(@)words[2,CURRENT]}" 2>/dev/null)}")
    if [[ -n "$found[1]" ]]; then compadd -a found; else _files; fi
}
if [[ "$funcstack[1]" == _jupyterd ]]; then _jupyterd "$@"; else compdef _jupyterd jupyterd; fi
""",
    "fish": """\
# jupyterd completion fish > ~/.config/fish/completions/jupyterd.fish
function __jupyterd_words
    set -l before (commandline -opc)
    jupyterd completion --words $before[2..-1] (commandline -ct) 2>/dev/null
end
complete -c jupyterd -a '(__jupyterd_words)'
""",
}


class CompletionCommand(Command):
    """``jupyterd completion``."""

    name = "jupyterd-completion"

    def parser(self) -> argparse.ArgumentParser:
        """See :class:`Command`."""
        found = make_parser(
            "completion",
            "Print the script that lets a shell complete commands, options, ports, kernels and notebooks.",
            "completion bash > ~/.local/share/bash-completion/completions/jupyterd",
            "completion fish > ~/.config/fish/completions/jupyterd.fish",
        )
        found.add_argument("shell", choices=sorted(SCRIPTS))
        return found

    def initialize(self, argv: Any = None) -> None:
        """Read the command line; what comes behind ``--words`` is somebody's, and no option of ours."""
        if argv and argv[0] == "--words":
            self.options = argparse.Namespace(words=argv[1:])
        else:
            super().initialize(argv)

    def act(self, options: argparse.Namespace, stream: TextIO) -> int:
        """See :class:`Command`."""
        if hasattr(options, "words"):
            stream.writelines(f"{word}\n" for word in words(options.words, LIVE))
        else:
            stream.write(SCRIPTS[options.shell])
        return 0


def words(given: Sequence[str], live: dict[str, Callable[[], Iterable[str]]]) -> list[str]:
    """What the last of the words may become; nothing where it is a file's name.

    :param given: the words behind ``jupyterd``, the last one as far as it is typed.
    :param live: words that running servers know, by what they are of: ``kernel``, ``where``.
    """
    *before, word = given or [""]
    return sorted({found for found in _fitting(before, word, live) if found.startswith(word)})


def _fitting(before: Sequence[str], word: str, live: dict[str, Callable[[], Iterable[str]]]) -> Iterable[str]:
    if not before:
        return [*COMMANDS, *OTHERS, *(_server_options() if word.startswith("-") else ())]
    if before[0] in COMMANDS:
        return _of_parser(_parser(before[0]), before[1:], word, live)
    if before == ["stop"]:
        return live["where"]()
    return _server_options() if word.startswith("-") and before[0] not in OTHERS else ()


def _server_options() -> list[str]:
    return [f"--{name}" for name in (*ALIASES, *FLAGS) if len(name) > 1] + ["--help", "--help-all", "--version"]


def _parser(command: str) -> argparse.ArgumentParser:
    module, _, name = COMMANDS[command][0].rpartition(".")
    found: argparse.ArgumentParser = getattr(import_module(module), name)().parser()
    return found


def _of_parser(
    parser: argparse.ArgumentParser, before: Sequence[str], word: str, live: dict[str, Callable[[], Iterable[str]]]
) -> Iterable[str]:
    options = {name: action for action in parser._actions for name in action.option_strings}
    positional = [action for action in parser._actions if not action.option_strings]
    taken, rest = 0, list(before)
    while rest:
        one = rest.pop(0)
        if one in options:
            if options[one].nargs != 0:
                if not rest:
                    return _values(options[one], live)
                rest.pop(0)
        elif not one.startswith("-"):
            if positional and isinstance(action := positional[0], argparse._SubParsersAction) and one in action.choices:
                return _of_parser(action.choices[one], rest, word, live)
            taken += 1
    if word.startswith("-"):
        return options
    return _values(positional[taken], live) if taken < len(positional) else ()


def _values(action: argparse.Action, live: dict[str, Callable[[], Iterable[str]]]) -> Iterable[str]:
    """What an option or a word may be."""
    if action.choices is not None:
        return [str(choice) for choice in action.choices]
    if action.dest == "what":
        return [*live["where"](), *live["kernel"]()]
    if action.dest in ("level", "namespace"):
        return [*LEVELS, NONE]
    return live[action.dest]() if action.dest in live else ()


def _places() -> Iterable[str]:
    for info in list_running_servers():
        yield str(info.get("sock") or info.get("port"))


def _kernels() -> Iterable[str]:
    """Ids of kernels and notebooks that have one; of all servers of this machine's user."""
    for client in local_servers():
        try:
            yield from _of(client)
        except CommandError:
            continue


def _of(client: ServerClient) -> Iterable[str]:
    for kernel in client.ask_raw("GET", "api/kernels?dead=1"):
        yield kernel["id"]
    for session in client.ask("GET", "api/sessions"):
        yield session["path"]


LIVE = {"where": _places, "kernel": _kernels}
