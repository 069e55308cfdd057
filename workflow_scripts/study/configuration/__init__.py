"""What a person writes: the study, the scale's numbers, and checks of both."""
