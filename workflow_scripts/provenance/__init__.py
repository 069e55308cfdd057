"""Where every result comes from: a record of each job, an audit of all of them, and what a reviewer takes home."""
