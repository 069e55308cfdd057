"""A small study of real shape that runs through the rules, and what its files must hold, read by other means."""
