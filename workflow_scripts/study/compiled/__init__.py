"""What the configuration is compiled into: experiments, recipes, schedules, segments, runs."""
