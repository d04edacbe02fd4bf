"""Pictures in and out, data sets, and drawn faces."""
