"""How often customers buy, whether they still do, and what they spend: four probability models of repeat buying.

`summary` turns purchases into one row per customer (frequency, recency, age, monetary) as of a moment. `bgnbd.BGNBD`,
`pareto_nbd.ParetoNBD` and `bgbb.BGBB` say how many purchases to expect; `gamma_gamma.GammaGamma` says how much one is
worth; `value.CustomerValue` puts both together. `rules` has the naive rules that stand beside them. `docs/buying.md`
explains all of it in plain words.
"""
