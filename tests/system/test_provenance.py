"""A subclass that defines a method of its own is seen, one that inherits it is not."""

from jupyterd.contents.managers.filemanager import FileContentsManager
from jupyterd.system.provenance import is_ours, leaves_alone


class Theirs(FileContentsManager):
    def get(self, *args, **options):  # type: ignore[no-untyped-def]
        return None


def test_whose_it_is() -> None:
    assert is_ours(FileContentsManager)
    assert not is_ours(Theirs)
    assert leaves_alone(Theirs, "save", "rename_file")
    assert not leaves_alone(Theirs, "save", "get")
