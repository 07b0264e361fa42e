"""An engine for few rows: the compiler's own Ibis expression over numpy arrays, where starting DuckDB costs more than the work.

It is one more engine for the same expression, as DuckDB and Spark are, and no second implementation of features: it knows
operations (a comparison, a GROUP BY, a left join) and nothing of rules. It knows those that the compiler writes; anything
else is `Unsupported` when a program is read, and its caller takes the whole program to DuckDB. Where 64 bits might not hold
a result, or a value is of a kind that engines treat differently, a call is handed over in the same way (`HandOver`).
"""

from kohort.engines.small.columns import HandOver, Unsupported
from kohort.engines.small.program import Small

__all__ = ["HandOver", "Small", "Unsupported"]
