"""The same fits with other libraries, in an interpreter of their own (see bench/buying.py).

python bench/peer_clv.py lifetimes bgnbd FILE
python bench/peer_clv.py pymc bgnbd FILE
"""

from __future__ import annotations

import json
import sys
import time


def lifetimes(model: str, table) -> dict[str, float]:  # type: ignore[no-untyped-def]
    from lifetimes import BetaGeoFitter, GammaGammaFitter, ParetoNBDFitter

    if model == "gamma-gamma":
        again = table[table["frequency"] > 0]
        fitted = GammaGammaFitter().fit(again["frequency"], again["monetary"])
    else:
        fitter = {"bgnbd": BetaGeoFitter, "pareto": ParetoNBDFitter}[model]()
        fitted = fitter.fit(table["frequency"], table["recency"], table["age"])
    return {name: float(value) for name, value in fitted.params_.items()}


def pymc(model: str, table) -> dict[str, float]:  # type: ignore[no-untyped-def]
    from pymc_marketing import clv

    made = {"bgnbd": clv.BetaGeoModel, "pareto": clv.ParetoNBDModel, "gamma-gamma": clv.GammaGammaModel}[model]
    if model == "gamma-gamma":
        again = table[table["frequency"] > 0]
        data = again.rename(columns={"monetary": "monetary_value"}).assign(customer_id=range(len(again)))
    else:
        data = table.rename(columns={"age": "T"}).assign(customer_id=range(len(table)))
    fitted = made()  # since 1.0 the data belongs to the fit
    fitted.fit(data, method="map", progressbar=False)
    found = fitted.fit_result
    wanted = [n for n in ("r", "alpha", "a", "b", "s", "beta", "p", "q", "v") if n in found]
    return {n: float(found[n].mean()) for n in wanted}


def main() -> None:
    import pandas as pd

    library, model, path = sys.argv[1:4]
    table = pd.read_csv(path)
    fits = {"lifetimes": lifetimes, "pymc": pymc}[library]
    fits(model, table.head(2_000))  # imports and first calls
    started = time.process_time()
    parameters = fits(model, table)
    print(json.dumps({"seconds": time.process_time() - started, "parameters": parameters}))


if __name__ == "__main__":
    main()
