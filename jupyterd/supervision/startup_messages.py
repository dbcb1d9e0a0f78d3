"""Startup messages: what the server says when it is there."""

from __future__ import annotations

import pathlib

from jupyterd.supervision.server_settings import Server

_STOPPING = "Use Control-C to stop this server and shut down all kernels (twice to skip confirmation)."


def lines_of(server: Server) -> list[str]:
    """Where files are and where the server is, a line each."""
    more = [f"    {url}" for url in server.more_urls]
    return [*server.running_server_info(kernel_count=False).split("\n"), *more, _STOPPING]


def invitation(server: Server) -> str:
    """How to get in, with the token, where it was made by chance and nobody can know it; else nothing.

    The words and their order are the Jupyter Server's: there are tools that look for the URL in them.
    """
    provider = server.identity_provider
    hidden = not provider.token and provider.auth_enabled and {"0.0.0.0", "::"} & set(server.ip.split(","))  # noqa: S104
    if not ((provider.token and provider.token_generated) or hidden):
        return ""
    if server.sock:
        return "\n".join(
            [
                "\n",
                f"Jupyter Server is listening on {server.display_url}",
                "",
                "UNIX sockets are not browser-connectable, but you can tunnel to the instance via e.g."
                f"`ssh -L 8888:{server.sock} -N user@this_host` and then open e.g. {server.connection_url} "
                "in a browser.",
            ]
        )
    if server.no_browser_open_file:
        return f"\n\nTo access the server, copy and paste one of these URLs:\n    {server.connect_url}"
    return "\n".join(
        [
            "\n",
            "To access the server, open this file in a browser:",
            f"    {pathlib.Path(server.browser_open_file).as_uri()}",
            "Or copy and paste one of these URLs:",
            f"    {server.connect_url}",
        ]
    )
