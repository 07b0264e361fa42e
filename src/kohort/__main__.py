"""`python -m kohort` is the command line."""

from kohort.cli import main

if __name__ == "__main__":
    main()
