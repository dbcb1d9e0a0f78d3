"""Interface of contents managers: the methods that operators override, and what they may use.

Source: the reference's ``ContentsManager``; names and arguments are kept.
"""

from __future__ import annotations

from typing import Any

from jupyterd.contents.managers import generic_operations
from jupyterd.contents.managers.sync_or_async import at_once
from jupyterd.contents.models import Model


class ContentsInterface:
    """The methods of every contents manager; its settings are in :class:`ContentsManager`."""

    log: Any
    notary: Any
    checkpoints: Any
    hide_globs: Any

    # -- what a subclass gives

    def dir_exists(self, path: str) -> Any:
        """There is a directory at the path."""
        raise NotImplementedError

    def is_hidden(self, path: str) -> Any:
        """The path is there and hidden."""
        raise NotImplementedError

    def file_exists(self, path: str) -> Any:
        """There is a file at the path."""
        raise NotImplementedError

    def get(
        self,
        path: str,
        content: bool = True,
        type: str | None = None,  # noqa: A002
        format: str | None = None,  # noqa: A002
        require_hash: bool = False,
    ) -> Any:
        """The model of a file or directory."""
        raise NotImplementedError

    def save(self, model: Model, path: str) -> Any:
        """Save a model; give it back without content."""
        raise NotImplementedError

    def delete_file(self, path: str) -> Any:
        """Delete a file or directory."""
        raise NotImplementedError

    def rename_file(self, old_path: str, new_path: str) -> Any:
        """Rename a file or directory."""
        raise NotImplementedError

    # -- what it gets

    def exists(self, path: str) -> Any:
        """There is something at the path."""
        return self.file_exists(path) or self.dir_exists(path)

    def resolve_path(self, path: str) -> Any:
        """The API path of a path as kernels and terminals show it; None where it has none."""
        return None

    def info_string(self) -> str:
        """For the log at the start."""
        return "Serving contents"

    def log_info(self) -> None:
        """Log it."""
        self.log.info(self.info_string())

    def get_kernel_path(self, path: str, model: Model | None = None) -> Any:
        """The API path of the directory in which a notebook's kernel starts."""
        return ""

    def get_extra_handlers(self) -> list[Any]:
        """None: ``/files`` is served natively."""
        return []

    def should_list(self, name: str) -> bool:
        """The name may appear in a listing."""
        from jupyterd.contents.paths import HideGlobs

        return not HideGlobs(self.hide_globs).hides(name)

    def validate_notebook_model(self, model: Model, validation_error: dict[str, Any] | None = None) -> Model:
        """Put what is wrong with a notebook into its model's ``message``.

        :param validation_error: what nbformat caught; None to validate now.
        """
        from nbformat import ValidationError, validate

        from jupyterd.contents.notebooks.serialization import message_of

        error = None
        if validation_error is not None:
            error = validation_error.get("ValidationError")
        else:
            try:
                validate(model["content"])
            except ValidationError as found:
                error = found
        if isinstance(error, ValidationError):
            model["message"] = message_of(error)
        return model

    def check_and_sign(self, nb: Any, path: str = "") -> None:
        """Take the marks of trusted cells off a notebook, and sign it if all were trusted. Never fails."""
        from jupyterd.contents.notebooks import trust

        trust.check_and_sign(self.notary, nb, path, self.log)

    def mark_trusted_cells(self, nb: Any, path: str = "") -> None:
        """Mark a notebook's cells as trusted if its signature is known. Never fails."""
        from jupyterd.contents.notebooks import trust

        trust.mark_trusted_cells(self.notary, nb, path, self.log)

    def delete(self, path: str) -> Any:
        """See :func:`jupyterd.contents.managers.generic_operations.delete`."""
        return at_once(generic_operations.delete(self, path))

    def rename(self, old_path: str, new_path: str) -> Any:
        """See :func:`jupyterd.contents.managers.generic_operations.rename`."""
        return at_once(generic_operations.rename(self, old_path, new_path))

    def update(self, model: Model, path: str) -> Any:
        """See :func:`jupyterd.contents.managers.generic_operations.update`."""
        return at_once(generic_operations.update(self, model, path))

    def increment_filename(self, filename: str, path: str = "", insert: str = "") -> Any:
        """See :func:`jupyterd.contents.managers.generic_operations.increment_filename`."""
        return at_once(generic_operations.increment_filename(self, filename, path, insert))

    def new_untitled(self, path: str = "", type: str = "", ext: str = "") -> Any:  # noqa: A002
        """See :func:`jupyterd.contents.managers.generic_operations.new_untitled`."""
        return at_once(generic_operations.new_untitled(self, path, type, ext))

    def new(self, model: Model | None = None, path: str = "") -> Any:
        """See :func:`jupyterd.contents.managers.generic_operations.new`."""
        return at_once(generic_operations.new(self, model, path))

    def copy(self, from_path: str, to_path: str | None = None) -> Any:
        """See :func:`jupyterd.contents.managers.generic_operations.copy`."""
        return at_once(generic_operations.copy(self, from_path, to_path))

    def trust_notebook(self, path: str) -> Any:
        """See :func:`jupyterd.contents.managers.generic_operations.trust_notebook`."""
        return at_once(generic_operations.trust_notebook(self, path))

    def create_checkpoint(self, path: str) -> Any:
        """Keep a file as it is now; gives the checkpoint's ``id`` and ``last_modified``."""
        return self.checkpoints.create_checkpoint(self, path)

    def restore_checkpoint(self, checkpoint_id: str, path: str) -> Any:
        """Make a file what it was."""
        return self.checkpoints.restore_checkpoint(self, checkpoint_id, path)

    def list_checkpoints(self, path: str) -> Any:
        """The checkpoints of a file."""
        return self.checkpoints.list_checkpoints(path)

    def delete_checkpoint(self, checkpoint_id: str, path: str) -> Any:
        """Forget a checkpoint."""
        return self.checkpoints.delete_checkpoint(checkpoint_id, path)
