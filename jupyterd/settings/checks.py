"""Classes and values that an operator has set, held against what they are for before anything starts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from traitlets import TraitError
from traitlets.config.loader import DeferredConfig, LazyConfigValue

from jupyterd.compat.class_names import CLASSES, STOCK, public_name, resolve
from jupyterd.settings.server_traits import ServerTraits
from jupyterd.traittypes import ClassName

if TYPE_CHECKING:
    from traitlets.config import Config

# What an object of the class that a setting names must be able to do.
DEEDS = {
    "authorizer_class": "is_authorized",
    "config_manager_class": "update",
    "contents_manager_class": "get",
    "identity_provider_class": "get_user",
    "kernel_spec_manager_class": "get_kernel_spec",
}
# Classes that only replace ours when they extend ours: what they stand for is served by Twisted here.
OWN_KINDS = {
    "kernel_manager_class": "jupyterd.kernels.MappingKernelManager",
    "session_manager_class": "jupyterd.sessions.SessionManager",
}
KERNEL_SECTIONS = ("MultiKernelManager", "AsyncMultiKernelManager", "MappingKernelManager", "AsyncMappingKernelManager")


class BadSettings(Exception):
    """What the operator wrote can not be done; one line for a person."""


def check_classes(server: ServerTraits) -> None:
    """The classes that are named.

    :raises BadSettings: one can not be imported, or is none that can do what it is for.
    """
    for name in _configured(server):
        _check_class(name, resolved(server, name))
        value = getattr(server, name)
        if (lasting := public_name(str(value))) is not None:
            server.log.warning("ServerApp.%s: write %s; %s goes with a later release", name, lasting, value)
    _check_kernel_class(server)


def _configured(server: ServerTraits) -> list[str]:
    """The settings by which the operator puts a class in the place of one of ours."""
    traits, given = server.traits(config=True), server.config.get("ServerApp", {})
    return [name for name, trait in traits.items() if isinstance(trait, ClassName) and name in given]


def resolved(server: ServerTraits, trait: str) -> Any:
    """The class that a setting of the server names; None where it names none.

    :raises BadSettings: it can not be imported.
    """
    value = getattr(server, trait)
    try:
        return resolve(value) if value is not None else None
    except ImportError as error:
        raise BadSettings(f"ServerApp.{trait}: {value!r} can not be imported: {error}") from error


def _check_class(name: str, value: Any) -> None:
    if value is None:
        return
    if not isinstance(value, type):
        raise BadSettings(f"ServerApp.{name}: {value!r} is not a class")
    if name in OWN_KINDS and not hasattr(value, "serve"):
        raise BadSettings(f"ServerApp.{name}: {value.__module__}.{value.__qualname__} must extend {OWN_KINDS[name]}")
    if not hasattr(value, DEEDS.get(name, "__init__")):
        raise BadSettings(f"ServerApp.{name}: {value.__module__}.{value.__qualname__} has no {DEEDS[name]}()")


def _check_kernel_class(server: ServerTraits) -> None:
    """The class that each kernel is run by."""
    for section in KERNEL_SECTIONS:
        name = server.config.get(section, {}).get("kernel_manager_class")
        try:
            kind = resolve(str(name)) if name else None
        except ImportError as error:
            raise BadSettings(f"{section}.kernel_manager_class: {name!s} can not be imported: {error}") from error
        if kind is not None and not hasattr(kind, "start_kernel"):
            raise BadSettings(f"{section}.kernel_manager_class: {name!s} has no start_kernel()")


def check_values(config: Config) -> None:
    """Values for classes that are made with each kernel or notebook; all others read theirs at the start."""
    names = {name.rpartition(".")[2]: name for name in CLASSES if not name.startswith("jupyterd.")}
    for section in names.keys() & config.keys():
        traits = resolve(names[section]).class_traits(config=True)
        for name in traits.keys() & config[section].keys():
            value = config[section][name]
            if value is None or isinstance(value, LazyConfigValue):
                continue
            try:
                given = value.get_value(traits[name]) if isinstance(value, DeferredConfig) else value
                traits[name].validate(None, given)
            except (TraitError, ValueError) as error:
                raise BadSettings(f"{section}.{name}: {error}") from error


def warn_of_misspelt_classes(server: ServerTraits) -> None:
    """A class that nobody knows may be an extension's; one that looks like one of ours is most likely a slip."""
    known = {"ServerApp", "NotebookApp", "LabApp", "JupyterNotebookApp", "LabServerApp"}
    known |= {name.rpartition(".")[2] for name in (*CLASSES, *STOCK)} | {cls.__name__ for cls in ServerTraits.__mro__}
    for name in _configured(server):
        known |= {str(server.config.ServerApp[name]).rpartition(".")[2]}
        known |= {cls.__name__ for cls in getattr(resolved(server, name), "__mro__", ())}
    for section in [each for each in server.config if each not in known]:
        from difflib import get_close_matches  # for who has mistyped, not for each start

        if close := get_close_matches(section, known, n=1, cutoff=0.85):
            server.log.warning("Config section `%s` is not known. Did you mean `%s`?", section, close[0])
