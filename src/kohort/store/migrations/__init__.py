"""Schema versions of the transactional state, in the order of their numbers."""
