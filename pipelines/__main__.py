"""`python -m pipelines` is `rushes`, for entry points of submitted jobs."""

from pipelines.cli import main

main()
