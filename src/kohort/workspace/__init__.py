"""The object that every door calls: wiring, nothing else."""
