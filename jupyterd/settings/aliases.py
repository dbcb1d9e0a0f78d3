"""Short names of the command line: aliases and flags of ``jupyter server``, and those of ``jupyter lab``."""

from __future__ import annotations

import logging
from typing import Any

ALIASES: dict[str, str] = {
    "app-dir": "LabApp.app_dir",
    "base-url": "ServerApp.base_url",
    "browser": "ServerApp.browser",
    "certfile": "ServerApp.certfile",
    "client-ca": "ServerApp.client_ca",
    "config": "JupyterApp.config_file",
    "endpoints": "ServerApp.endpoints",
    "gateway-url": "GatewayClient.url",
    "group": "JupyterHubSingleUser.group",
    "hub-api-url": "HubOAuth.api_url",
    "hub-host": "HubOAuth.hub_host",
    "hub-prefix": "HubOAuth.hub_prefix",
    "ip": "ServerApp.ip",
    "keyfile": "ServerApp.keyfile",
    "log-level": "Application.log_level",
    "notebook-dir": "ServerApp.root_dir",
    "port": "ServerApp.port",
    "port-retries": "ServerApp.port_retries",
    "preferred-dir": "ServerApp.preferred_dir",
    "pylab": "ServerApp.pylab",
    "root-dir": "ServerApp.root_dir",
    "sock": "ServerApp.sock",
    "sock-group": "ServerApp.sock_group",
    "sock-mode": "ServerApp.sock_mode",
    "transport": "KernelManager.transport",
    "user": "JupyterHubSingleUser.user",
}

_IGNORED = "No effect here; accepted so that command lines can stay as they are."

FLAGS: dict[str, tuple[dict[str, dict[str, Any]], str]] = {
    "allow-root": ({"ServerApp": {"allow_root": True}}, "Let the server be run by root."),
    "autoreload": (
        {"ServerApp": {"autoreload": True}},
        "Restart when a Python file changes.",
    ),
    "collaborative": ({"LabApp": {"collaborative": True}}, _IGNORED),
    "core-mode": ({"LabApp": {"core_mode": True}}, "JupyterLab without extensions."),
    "custom-css": (
        {"LabApp": {"custom_css": True}, "JupyterNotebookApp": {"custom_css": True}},
        "Load custom.css.",
    ),
    "takeover": (
        {"ServerApp": {"takeover": True}},
        "Take over from the server that runs, with its sockets, kernels and terminals.",
    ),
    "debug": ({"ServerApp": {"log_level": logging.DEBUG}}, "Log everything, each answered request too."),
    "disable-user-config": (
        {"JupyterHubSingleUser": {"disable_user_config": True}},
        "Below a JupyterHub: read no settings from the user's home.",
    ),
    "dev-mode": ({"LabApp": {"dev_mode": True}}, _IGNORED),
    "expose-app-in-browser": (
        {"LabApp": {"expose_app_in_browser": True}, "JupyterNotebookApp": {"expose_app_in_browser": True}},
        "Let scripts of the page use the application as window.jupyterapp.",
    ),
    "extensions-in-dev-mode": ({"LabApp": {"extensions_in_dev_mode": True}}, _IGNORED),
    "generate-config": (
        {"JupyterApp": {"generate_config": True}},
        "Write a configuration file with all defaults.",
    ),
    "no-browser": ({"ServerApp": {"open_browser": False}}, "Open no browser (there is none opened unless asked for)."),
    "no-mathjax": ({}, _IGNORED),
    "no-script": ({}, _IGNORED),
    "script": ({}, _IGNORED),
    "show-config": ({"Application": {"show_config": True}}, "Show the settings that are in force, and end."),
    "show-config-json": ({"Application": {"show_config_json": True}}, "The same as JSON."),
    "skip-dev-build": ({"LabApp": {"skip_dev_build": True}}, _IGNORED),
    "splice-source": ({"LabApp": {"splice_source": True}}, _IGNORED),
    "watch": ({"LabApp": {"watch": True}}, _IGNORED),
    "y": ({"JupyterApp": {"answer_yes": True}}, "Answer yes to every question."),
}

IGNORED_FLAGS = frozenset(name for name, (_, text) in FLAGS.items() if text is _IGNORED)
