"""Testing without sockets, threads or sleeps: fakes that run the real code, for this project and for extensions'."""
