"""`python -m npconv` is the command `npconv`."""

from npconv.cli import main

if __name__ == "__main__":
    main()
