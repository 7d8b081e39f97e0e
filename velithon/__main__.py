"""`python -m velithon`, and what the script `velithon` calls.

Worker processes import this module again: it imports the command line where that is called, and not before.
"""

__all__ = ["main"]


def main() -> None:
    """Run the command line of this process."""
    from velithon.cli import main

    main()


if __name__ == "__main__":
    main()
