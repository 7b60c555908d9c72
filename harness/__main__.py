"""``python -m harness`` is the same as the ``s3logjam`` command."""

from harness.cli import main

if __name__ == "__main__":
    main()
