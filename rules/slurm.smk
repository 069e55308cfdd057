"""What a profile asks of SLURM, held against the cluster before anything is submitted; and what becomes of its jobs."""

from workflow_scripts.study.slurm import Asked, States, partition_limits, too_long, unknown_partitions


def prepare_slurm():
    """What is to be done before anything is submitted; nothing under another executor."""
    if workflow.executor_plugin.name == "slurm":
        check_partitions()
        tell_executor_known_states()


def tell_executor_known_states():
    """So that it does not wait for ever for a job that a person cancelled, or that was preempted and is gone."""
    import snakemake_executor_plugin_slurm as executor

    ask, states = executor.query_job_status, States()

    async def query(command, logger):
        told, seconds = await ask(command, logger)
        return (None if told is None else states.known(told)), seconds

    executor.query_job_status = query


def check_partitions():
    """Refuse a partition that is not there, which would fail job by job; tell of jobs that may wait for ever."""
    limits, asked = partition_limits(), what_jobs_ask()
    if problem := unknown_partitions(asked, limits):
        raise mistake(problem)
    for sentence in too_long(asked, limits):
        logger.warning(sentence)


def what_jobs_ask():
    """The most time that the jobs of each rule or group, as it is submitted, ask of each partition that they name."""
    most = {}
    dag = workflow.dag
    # Snakemake groups only what is to be run: its own list of groups fails on jobs that are done.
    for found in {dag.get_job_group(job) or job for job in dag.needrun_jobs()}:
        jobs = found.jobs if found.is_group() else [found]
        partition = found.resources.get("slurm_partition")
        if partition and not found.is_local:
            names = " and ".join(sorted({each.rule.name for each in jobs}))
            asked = names, str(partition)
            most[asked] = max(most.get(asked, 0), found.resources.get("runtime", 0))
    return [Asked(names, partition, minutes) for (names, partition), minutes in most.items()]
