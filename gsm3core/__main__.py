"""``python -m gsm3core`` runs the ``gsm3`` command."""

from gsm3core.cli import main

if __name__ == "__main__":
    main()
