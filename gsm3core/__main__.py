"""``python -m gsm3core`` is the ``gsm3`` command."""

from gsm3core.cli import main

if __name__ == "__main__":
    main()
