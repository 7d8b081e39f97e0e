"""The shop's pages: rendered on the server, for whoever has a session."""
