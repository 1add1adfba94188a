"""The composition root and entry point: the only place that builds objects and hands them down."""


def main() -> None:
    """Run the command line."""
