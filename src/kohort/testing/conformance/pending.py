"""What this release cannot do yet. It is listed, with the reason, and never counts as passed."""

from kohort.testing.conformance.case import Pending

PENDING = (
    Pending(
        "T6 34: clocks that are wrong",
        "A client's clock is corrected by when the event was sent and received; what lies more than a day ahead is put aside.",
        "Events come from files so far, which carry one time; there is no tracking endpoint yet.",
    ),
    Pending(
        "L7 43: anonymous visitors",
        "A definition can include visitors without an id, and both counts are shown.",
        "Events without a customer belong to nobody yet.",
    ),
    Pending(
        "M5 40: merge of two profiles",
        "Merging equals recomputing over the union of their events; the other id leads to the survivor; split undoes it.",
        "Profiles cannot be merged yet.",
    ),
    Pending(
        "M5 41: anonymous, then identified",
        "What a visitor did before she told who she is joins her history; a shared device joins nobody.",
        "Profiles cannot be merged yet.",
    ),
    Pending(
        "M6 42: erasure",
        "An erased customer leaves every segment and count, and late events do not bring her back.",
        "Erasure of one customer is not there yet.",
    ),
    Pending(
        "P1 53: scores",
        "Predictions carry probability, rank, model, moment and reasons; below eligibility there is a stated reason.",
        "There are no predictions yet; a rule that names one is refused.",
    ),
    Pending(
        "P2 53: stale scores",
        "A score older than its declared freshness counts as missing.",
        "There are no predictions yet.",
    ),
    Pending(
        "50: another workspace",
        "The same customer number in another workspace is another customer.",
        "A case is about one workspace; two of them share no file and no key.",
    ),
    Pending(
        "58: journeys",
        "Whether a journey takes in those who are members already is decided when it is made.",
        "There are no journeys yet.",
    ),
    Pending(
        "59: estimates",
        "A size from a sample carries its interval and says that it is an estimate.",
        "Sizes are always counted, never estimated.",
    ),
    Pending(
        "60: export",
        "Exports are deduplicated by the destination's key.",
        "There is no continuous export to destinations yet.",
    ),
)
