"""Traits whose values are classes or instances of one of several classes."""

from __future__ import annotations

import pytest
from traitlets import HasTraits, TraitError
from traitlets.config import Config, Configurable

from jupyterd.traittypes import ClassName, InstanceFromClasses, TypeFromClasses


class One:
    pass


class Two:
    pass


class OfOne(One):
    pass


class Types(HasTraits):
    known = TypeFromClasses(default_value=One, klasses=[One, "pathlib.PurePath", "no.such.Thing"])
    nothing = TypeFromClasses(default_value=None, allow_none=True, klasses=[One])
    alone = TypeFromClasses(One)
    anything = TypeFromClasses()
    named = TypeFromClasses(default_value="pathlib.Path", klasses=["pathlib.PurePath"])


def test_a_subclass_of_one_of_several() -> None:
    types = Types()
    assert types.known is One
    types.known = OfOne
    types.known = "pathlib.PosixPath"
    assert types.known.__name__ == "PosixPath"
    for wrong in (Two, 3, "no.such.Thing", One()):
        with pytest.raises(TraitError):
            types.known = wrong
    assert types.nothing is None
    types.nothing = OfOne
    assert types.anything is object
    assert types.named.__name__ == "Path"
    with pytest.raises(TraitError):
        types.alone = Two


@pytest.mark.parametrize("klasses", [One, "x.Y", [One, 3]])
def test_classes_that_are_none(klasses: object) -> None:
    with pytest.raises(TraitError):
        TypeFromClasses(klasses=klasses)  # type: ignore[arg-type]


def test_types_in_words() -> None:
    trait = Types.class_traits()["known"]
    assert "a subclass of" in trait.info()
    assert "pathlib.PurePath" in trait.info()
    assert trait.default_value_repr() == repr(f"{__name__}.One")
    assert Types.class_traits()["nothing"].info().endswith(" or None")


class Instances(HasTraits):
    made = InstanceFromClasses([One, Two], args=())
    nothing = InstanceFromClasses([One, "no.such.Thing"], allow_none=True)


def test_an_instance_of_one_of_several() -> None:
    instances = Instances()
    assert isinstance(instances.made, One)
    instances.made = Two()
    with pytest.raises(TraitError):
        instances.made = 3
    assert instances.nothing is None
    instances.nothing = OfOne()
    assert Instances.class_traits()["made"].info().startswith("an instance of ")
    assert Instances.class_traits()["made"].from_string("[1]") == [1]


@pytest.mark.parametrize("wrong", [{"klasses": [3]}, {"kw": 3}, {"args": [1]}])
def test_arguments_that_are_none(wrong: dict[str, object]) -> None:
    with pytest.raises(TraitError):
        InstanceFromClasses(**wrong)  # type: ignore[arg-type]


class Named(Configurable):
    one = ClassName("no.such.Default", config=True)
    none = ClassName(None, allow_none=True, config=True)


def test_a_name_of_a_class_is_not_imported() -> None:
    assert Named().one == "no.such.Default"
    made = Named(config=Config(Named={"one": "also.missing", "none": One}))
    assert (made.one, made.none) == ("also.missing", One)
    for wrong in ("not dotted", "", 3):
        with pytest.raises(TraitError):
            made.one = wrong
