"""Tells ``twistd`` about jupyterd: names only, nothing is imported before it is chosen."""

from twisted.application.service import ServiceMaker

jupyterd = ServiceMaker(
    "jupyterd",
    "jupyterd.tap",
    "The Jupyter Server as a Twisted daemon: notebooks, kernels, terminals.",
    "jupyterd",
)
