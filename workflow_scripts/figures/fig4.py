"""Fig. 4: learning curves as in Fig. 1, of R50-FPN with SyncBN."""

from workflow_scripts.figures.fig1 import draw, main
from workflow_scripts.jobs.job import job

__all__ = ["draw", "main"]

if __name__ == "__main__":
    job(main)
