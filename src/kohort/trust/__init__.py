"""What is owed to the people behind the rows: their requests, and the proof of what was done.

| module | idea |
|---|---|
| `erasure` | a person goes from everywhere, step by step, and a receipt says what went and what remains |
| `mentions` | which rejected rows are about somebody |
| `models` | saved models that hold rows of persons |
| `access` | everything that is kept about one person |
| `consent` | the ledger of consent, with source and proof |
| `limits` | objection to profiling, restriction of use |
| `retention` | what is too old is deleted |
| `statements` | what somebody said about the use of her data, sealed with her key |
| `data_map` | where something about a person may be, and what an erasure does there |
| `scan` | looking for identifiers and pseudonyms in every file of a workspace, whatever it is packed in |
"""
