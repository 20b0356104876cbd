"""Published accuracies on FER2013, their protocols, and our measurements of the published weights.

Rule: accuracies are comparable if one network saw one crop of each PrivateTest image, and PrivateTest
did not choose its checkpoint. Anything else is an `other protocol`: ten crops, several networks, another
split, or a checkpoint chosen on its own test images. Unknown facts are "not found", never assumed.
"""

from __future__ import annotations

from pydantic import Field, ValidationError

from edgefer import limits, paths
from edgefer.claims.ledger import FieldProtocol
from edgefer.errors import InputError
from edgefer.frozen import Frozen
from edgefer.lines import complaint

OURS = "edgefer-base"
WANTED = "one crop of PrivateTest, by one network whose checkpoint PrivateTest did not choose"
NOT_FOUND = "not found"
_FILE = "benchmarks/results/field.json"  # benchmarks/field.py writes it


class MeasuredSystem(Frozen):
    """A network's measured accuracy on FER2013, with its 95 % Wilson interval."""

    system: str = Field(description="a document's key, or edgefer-base")
    network: str
    crops: str = Field(description="as in FieldProtocol")
    tested_on: str
    images: int
    accuracy: float
    low: float
    high: float
    source: str = Field(description="the measurement's file")


class MeasuredSystems(Frozen):
    """The measurement file."""

    kind: str
    repeat: str
    data: str
    systems: tuple[MeasuredSystem, ...]


def measured() -> list[MeasuredSystem]:
    """Return the measurements of the published systems and of edgefer-base.

    Raises:
        InputError: the file is damaged.
    """
    place = paths.shipped(_FILE)
    if not place.exists():
        return []
    try:
        return list(MeasuredSystems.model_validate(limits.read_json(place, limits.NOTE)).systems)
    except ValidationError as error:
        raise InputError(f"{place}: {complaint(error)}") from None


def differences(protocol: FieldProtocol) -> list[str]:
    """Return how a figure's protocol differs from the rule above."""
    found = []
    if protocol.crops not in ("one crop", NOT_FOUND):
        found.append(f"{protocol.crops} at test")
    if protocol.networks > 1:
        found.append(f"ensemble of {protocol.networks} networks")
    if protocol.tested_on not in ("PrivateTest", NOT_FOUND):
        found.append(f"tested on {protocol.tested_on}")
    chosen = protocol.chosen_on.split(" and ")
    if set(chosen) & set(protocol.tested_on.split(" and ")) - {NOT_FOUND}:
        found.append(f"the checkpoint was chosen on its test images ({protocol.chosen_on})")
    return found


def unknown(protocol: FieldProtocol) -> list[str]:
    """Return the parts of a protocol that were not found."""
    named = {
        "views at test": protocol.crops,
        "the images that chose the checkpoint": protocol.chosen_on,
        "the images that tested it": protocol.tested_on,
    }
    return [name for name, value in named.items() if value == NOT_FOUND]
