"""Post-training: from a float graph and a few hundred samples to an integer graph."""
