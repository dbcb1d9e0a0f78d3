"""Finder of kernelspecs, jupyter_client's, without the import of IPython that it does to learn one path."""

from __future__ import annotations

import os
from importlib.util import find_spec

from jupyter_client import kernelspec
from jupyter_core.paths import jupyter_path
from traitlets import List


class KernelSpecManager(kernelspec.KernelSpecManager):
    """Finds kernelspecs in the directories of the Jupyter data path."""

    kernel_dirs: List[str] = List(config=True, help="Directories of kernelspecs, the one that wins first.")

    def _kernel_dirs_default(self) -> list[str]:
        dirs: list[str] = jupyter_path("kernels")
        if find_spec("IPython") is not None:
            home = os.environ.get("IPYTHONDIR") or os.path.join("~", ".ipython")
            dirs.append(os.path.join(os.path.realpath(os.path.expanduser(home)), "kernels"))
        return dirs

    def fingerprint(self) -> tuple[object, ...]:
        """Changes whenever a kernelspec is added, removed or edited, or a file is added to one; blocks."""
        seen: list[object] = [self.ensure_native_kernel, frozenset(self.allowed_kernelspecs)]
        for parent in self.kernel_dirs:
            try:
                entries = sorted(os.scandir(parent), key=lambda entry: entry.name)
            except OSError:
                continue
            for entry in entries:
                try:
                    directory = entry.stat()
                    file = os.stat(os.path.join(entry.path, "kernel.json"))
                except OSError:
                    continue
                seen.append((entry.path, directory.st_mtime_ns, file.st_mtime_ns, file.st_size, file.st_ino))
        return tuple(seen)
