"""Pages for people: what a browser shows of an error, and the debug page."""
