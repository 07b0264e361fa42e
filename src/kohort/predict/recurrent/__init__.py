"""A recurrent network on weekly sequences, tried beside the other models and taken only where it is the better one."""
