"""Jobs that fail: which are tried again, and what stays of what is there."""

from snakemake.jobs import GroupJob, Job

from workflow_scripts.jobs.decision import made_since_decided
from workflow_scripts.jobs.record import mistaken
from workflow_scripts.jobs.spare import drop_spares


def sparing_another_job(remove):
    """Snakemake removes a job's outputs before it runs and when it fails. Those of a training that were made since it
    was decided to run it are another job's, or an earlier attempt's, and stay: the training looks itself what they are.
    """

    async def removing(job, *arguments):
        if job.rule.name != "train" or not made_since_decided(job.output.metrics):
            await remove(job, *arguments)

    return removing


def but_for_mistakes(restart_times):
    """How often a job is tried again: not at all if what failed is for a person to mend."""

    def times(job):
        jobs = job.jobs if job.is_group() else [job]
        return 0 if any(mistaken(each.output) for each in jobs) else restart_times.fget(job)

    return property(times)


Job.remove_existing_output = sparing_another_job(Job.remove_existing_output)
Job.cleanup = sparing_another_job(Job.cleanup)
Job.restart_times = but_for_mistakes(Job.restart_times)
GroupJob.restart_times = but_for_mistakes(GroupJob.restart_times)


def train_anew_where_asked():
    """Whoever forces a training, with `--forcerun`, does not want what was trained before."""
    for found in workflow.dag.needrun_jobs():
        if found.rule.name == "train" and workflow.dag.reason(found).forced:
            drop_spares(found.output)
