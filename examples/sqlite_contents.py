"""A contents manager: text files and notebooks in one SQLite file, without directories.

    jupyterd --config=sqlite_contents.py

A manager gives and takes models (dicts with ``type``, ``format``, ``content`` ...), as the REST API does. It need not
be fast or clever: its methods run in a thread, jupyterd queues saves of one path, and adds hooks, trust and events.
Checkpoints are kept in files beside it (``GenericFileCheckpoints``).
"""

import sqlite3
from datetime import datetime, timezone

import nbformat
from traitlets import Unicode, default

from jupyterd.contents import ContentsManager, GenericFileCheckpoints
from jupyterd.errors import Invalid, NotFound

SCHEMA = "create table if not exists files (path text primary key, kind text, content text, changed real)"


class SQLiteContents(ContentsManager):
    """Files in the table ``files`` of ``database``."""

    database = Unicode("notes.sqlite", config=True, help="The SQLite file.")

    @default("checkpoints_class")
    def _default_checkpoints_class(self):
        return GenericFileCheckpoints

    def _ask(self, query, *values):
        """Run one statement in its own transaction; a connection for each call, since calls come from any thread."""
        connection = sqlite3.connect(self.database, timeout=5.0)
        try:
            with connection:
                connection.execute(SCHEMA)
                return connection.execute(query, values).fetchall()
        finally:
            connection.close()

    def dir_exists(self, path):
        """Only the root is a directory."""
        return path.strip("/") == ""

    def file_exists(self, path):
        """Whether there is a file at ``path``."""
        return bool(self._ask("select 1 from files where path = ?", path.strip("/")))

    def is_hidden(self, path):
        """Nothing is hidden here."""
        return False

    def get(self, path, content=True, type=None, format=None, require_hash=False):
        """The model of a file, or of the root with those of all files."""
        path = path.strip("/")
        if not path:
            rows = self._ask("select path, kind, content, changed from files order by path")
            return {**_model("", "directory", 0.0), "format": "json", "content": [_file(row, False) for row in rows]}
        rows = self._ask("select path, kind, content, changed from files where path = ?", path)
        if not rows:
            raise NotFound(f"No such file: {path}")
        if type == "directory":
            raise Invalid(f"{path} is not a directory")
        return _file(rows[0], content)

    def save(self, model, path):
        """Take a model with content; give it back without."""
        path = path.strip("/")
        if "/" in path or model["type"] == "directory":
            raise Invalid("there are no directories here")
        self.run_pre_save_hooks(model=model, path=path)
        text = model["content"]
        if model["type"] == "notebook":
            notebook = nbformat.from_dict(text)
            self.check_and_sign(notebook, path)
            text = nbformat.writes(notebook)
        row = (path, model["type"], text, datetime.now(timezone.utc).timestamp())
        self._ask("insert or replace into files values (?, ?, ?, ?)", *row)
        return _file(row, False)

    def delete_file(self, path):
        """Delete a file."""
        self._ask("delete from files where path = ?", path.strip("/"))

    def rename_file(self, old_path, new_path):
        """Rename a file; one that has the name already is an error of SQLite's."""
        self._ask("update files set path = ? where path = ?", new_path.strip("/"), old_path.strip("/"))


def _model(path, kind, changed):
    when = datetime.fromtimestamp(changed, timezone.utc)
    return {
        "name": path.rpartition("/")[2], "path": path, "type": kind, "writable": True, "created": when,
        "last_modified": when, "size": None, "mimetype": None, "content": None, "format": None,
    }  # fmt: skip


def _file(row, content):
    path, kind, text, changed = row
    model = {**_model(path, kind, changed), "size": len(text.encode())}
    if not content:
        return model
    if kind == "notebook":
        return {**model, "format": "json", "content": nbformat.reads(text, as_version=4)}
    return {**model, "format": "text", "mimetype": "text/plain", "content": text}


c = get_config()  # noqa: F821 - traitlets gives it to configuration files
c.ServerApp.contents_manager_class = SQLiteContents
