"""What every job does, whatever its command: take its options, keep its record."""
