"""Dashboard: the page at ``/jupyterd``, and the account of a running daemon that it and ``jupyterd status`` show."""
