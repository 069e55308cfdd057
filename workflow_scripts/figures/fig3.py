"""Fig. 3: learning curves as in Fig. 1, of R101-FPN with GN."""

from functools import partial

from workflow_scripts.figures import fig1
from workflow_scripts.jobs.job import job

draw = fig1.draw
main = partial(fig1.main, __doc__)

if __name__ == "__main__":
    job(main)
