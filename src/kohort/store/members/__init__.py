"""Memberships of every kind of segment: an append-only log of transitions, and what follows from it.

| module | idea |
|---|---|
| `tables` | the columns of moves and stays |
| `fold` | from moves to stays |
| `compare` | from who was in and who is in now to moves |
| `parts` | moves and stays at rest: sealed Parquet, in the state or in files that the state names |
| `members` | what others call |
| `outbox` | transitions for consumers, each once |
"""
