"""One customer: identifiers brought to one form, links between records with their evidence, groups that follow.

The normalisers (`mail`, `phone`, `names`, `companies`, `places`, `births`) each return a `reading.Read`: a value in one
form, or why there is none. `certain` links by equal identifiers, `likely` by many small agreements (Splink).
"""
