"""Hair: what hangs behind the head, the cap over the skull, the fringe, the locks."""
