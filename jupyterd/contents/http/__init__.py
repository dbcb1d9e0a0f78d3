"""HTTP of contents: ``/api/contents``, ``/files``, pages, uploads."""
