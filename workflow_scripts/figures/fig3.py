"""Fig. 3: learning curves as in Fig. 1, of R101-FPN with GN."""

from workflow_scripts.figures.fig1 import draw, main
from workflow_scripts.jobs.job import job

__all__ = ["draw", "main"]

if __name__ == "__main__":
    job(main)
