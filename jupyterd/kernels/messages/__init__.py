"""Messages of the Jupyter protocol: wire format, signatures, adaptation of older versions."""
