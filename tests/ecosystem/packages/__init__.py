"""One file a package: its requirements in the block of PEP 723, an application, and tests that say what it is for."""
