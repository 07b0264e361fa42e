"""Features of everybody as one Parquet file, written by Spark: this process holds some thousand customers at a time."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from kohort.workspace.people import company_numbers

if TYPE_CHECKING:
    from kohort.model.feature import FeatureInfo
    from kohort.workspace.workspace import Workspace

BATCH_ROWS = 65_536


def write_features(ws: Workspace, path: Path, as_of: int) -> tuple[int, tuple[FeatureInfo, ...]]:
    """See `Workspace.write_features`.

    Executors write pseudonyms, into a folder of the workspace that is gone afterwards. Customer numbers are known to the
    vault only, so the file is made from those here, batch by batch.
    """
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    from kohort.compile.features import CUSTOMER
    from kohort.engines import spark
    from kohort.model.limits import LIMITS
    from kohort.trust.limits import forbidding

    left_out = pa.array(forbidding(ws.store, *LIMITS), pa.int64())
    part, customers = path.with_name(f".{path.name}.part"), 0
    with TemporaryDirectory(dir=ws.root, prefix=".features-") as folder:
        empty, files = spark.write_features(
            ws.store.log.snapshot(),
            ws.definitions(),
            Path(folder, "features"),
            as_of=as_of,
            zone=ws.zone,
            currency=ws.currency,
            spark=spark.session(master=ws.config.spark),
        )
        schema = empty.data.schema.insert(0, pa.field("customer_id", pa.string()))
        try:
            with pq.ParquetWriter(part, schema, compression="zstd") as writer:
                for file in files:
                    for whole in pq.ParquetFile(file).iter_batches(BATCH_ROWS):
                        batch = whole.filter(pc.invert(pc.is_in(whole.column(CUSTOMER), value_set=left_out)))
                        numbers = company_numbers(ws.store.vault, batch.column(CUSTOMER).to_numpy())
                        columns = [pa.array(numbers, pa.string()), *(batch.column(n) for n in schema.names[1:])]
                        writer.write_table(pa.table(columns, names=schema.names).cast(schema))
                        customers += batch.num_rows
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)
    return customers, empty.features
