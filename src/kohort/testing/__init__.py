"""The shipped test kit: the naive evaluator, small worlds of customers, a settable clock."""
