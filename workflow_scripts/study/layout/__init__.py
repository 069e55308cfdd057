"""Where everything of a study lies."""
