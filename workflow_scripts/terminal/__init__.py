"""What a person sees of a run in the terminal: a line a job, the time left, failures, and the answer at the end."""
