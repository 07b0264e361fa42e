"""The shipped test kit: the naive evaluator and small worlds of customers."""
