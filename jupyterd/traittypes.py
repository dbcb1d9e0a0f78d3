"""Trait types: classes and instances out of several possible ones, and classes that are imported when they are used."""

from __future__ import annotations

import inspect
import re
from ast import literal_eval
from collections.abc import Iterable
from typing import Any

from traitlets import ClassBasedTraitType, TraitError, TraitType, Undefined

_DOTTED = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)+")


def _full_name(klass: type | str) -> str:
    return klass if isinstance(klass, str) else f"{klass.__module__}.{klass.__name__}"


class _OfClasses(ClassBasedTraitType):  # type: ignore[type-arg]
    """What the two have in common: ``klasses``, by name or object, resolved when an owner is made."""

    klasses: Iterable[type | str] | None
    importable_klasses: list[type]

    def instance_init(self, obj: Any) -> None:
        """Resolve the names of classes, then set the default."""
        self._resolve_classes()
        super().instance_init(obj)

    def _resolve_classes(self) -> None:
        """Import classes that are given by name; one that can not be imported can not be anybody's base either."""
        self.importable_klasses = []
        for klass in self.klasses or ():
            try:
                self.importable_klasses.append(self._resolve_string(klass) if isinstance(klass, str) else klass)
            except Exception:  # noqa: BLE001, S112 - importing may run anything
                continue

    def _described(self, what: str) -> str:
        text = f"{what} " + " or ".join(_full_name(klass) for klass in self.klasses or ())
        return f"{text} or None" if self.allow_none else text


class TypeFromClasses(_OfClasses):
    """A trait whose value is a subclass of one of several classes.

    :param default_value: a class, its dotted name, or None; also the only allowed base when ``klasses`` is not given.
    :param klasses: classes or their dotted names; names that can not be imported are left out.
    :raises TraitError: ``klasses`` is not a list, tuple or set of classes and names.
    """

    def __init__(
        self, default_value: Any = Undefined, klasses: Iterable[type | str] | None = None, **kwargs: Any
    ) -> None:
        if klasses is None:
            klasses = [object] if default_value in (None, Undefined) else [default_value]
        if not isinstance(klasses, (list, tuple, set)):
            raise TraitError("klasses is a list of classes or of their names")
        if not all(inspect.isclass(klass) or isinstance(klass, str) for klass in klasses):
            raise TraitError("each of klasses is a class or the name of one")
        if default_value is Undefined:
            default_value = next(iter(klasses), object)
        self.klasses = klasses
        super().__init__(default_value, **kwargs)

    def subclass_from_klasses(self, value: Any) -> bool:
        """Whether ``value`` is a subclass of one of the classes."""
        return any(issubclass(value, klass) for klass in self.importable_klasses)

    def validate(self, obj: Any, value: Any) -> Any:
        """The class itself, imported if it was given by name."""
        if isinstance(value, str):
            try:
                value = self._resolve_string(value)
            except ImportError as error:
                raise TraitError(
                    f"The '{self.name}' trait of {obj} instance must be a type, but {value!r} could not be imported"
                ) from error
        if inspect.isclass(value) and self.subclass_from_klasses(value):
            return value
        return self.error(obj, value)

    def info(self) -> str:
        """What values it takes, for messages."""
        return self._described("a subclass of")

    def _resolve_classes(self) -> None:
        super()._resolve_classes()
        if isinstance(self.default_value, str):
            self.default_value = self._resolve_string(self.default_value)

    def default_value_repr(self) -> str:
        """The default's dotted name, quoted."""
        value: Any = self.default_value
        return repr(value if value is None else _full_name(value))


class InstanceFromClasses(_OfClasses):
    """A trait whose value is an instance of one of several classes or of their subclasses.

    :param klasses: classes or their dotted names; the first of them makes the default.
    :param args: positional arguments of the default; with ``kw`` None too, there is no default value.
    :param kw: named arguments of the default.
    :raises TraitError: an argument has the wrong type.
    """

    def __init__(
        self,
        klasses: Iterable[type | str] | None = None,
        args: tuple[Any, ...] | None = None,
        kw: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        if klasses is not None and not all(inspect.isclass(klass) or isinstance(klass, str) for klass in klasses):
            raise TraitError(f"klasses is a list of classes or of their names, not {klasses!r}")
        if kw is not None and not isinstance(kw, dict):
            raise TraitError("kw is a dict or None")
        if args is not None and not isinstance(args, tuple):
            raise TraitError("args is a tuple or None")
        self.klasses = klasses
        self.default_args = args
        self.default_kwargs = kw
        super().__init__(**kwargs)

    def instance_from_importable_klasses(self, value: Any) -> bool:
        """Whether ``value`` is an instance of one of the classes."""
        return any(isinstance(value, klass) for klass in self.importable_klasses)

    def validate(self, obj: Any, value: Any) -> Any:
        """The value, if it is one."""
        return value if self.instance_from_importable_klasses(value) else self.error(obj, value)

    def info(self) -> str:
        """What values it takes, for messages."""
        return self._described("an instance of")

    def make_dynamic_default(self) -> Any:
        """An instance of the first class; None where neither ``args`` nor ``kw`` was given."""
        if self.default_args is None and self.default_kwargs is None:
            return None
        if not hasattr(self, "importable_klasses"):
            self._resolve_classes()
        return self.importable_klasses[0](*(self.default_args or ()), **(self.default_kwargs or {}))

    def default_value_repr(self) -> str:
        """The default, as text."""
        return repr(self.make_dynamic_default())

    def from_string(self, s: str) -> Any:
        """A Python literal."""
        return literal_eval(s)


class ClassName(TraitType[Any, Any]):
    """A class, or the dotted name of one that is imported only by who uses it: a start need not wait for it.

    :param allow_none: whether there may be no class at all.
    """

    default_value = ""
    info_text = "a class or its dotted name"

    def validate(self, obj: Any, value: Any) -> Any:
        """The class or the name, unchanged."""
        if inspect.isclass(value) or (isinstance(value, str) and _DOTTED.fullmatch(value)):
            return value
        return self.error(obj, value)

    def from_string(self, s: str) -> Any:
        """The name; ``None`` where there may be none."""
        return None if self.allow_none and s == "None" else s
