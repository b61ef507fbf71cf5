"""The kit for cells, whose parts are in `charrnn_core.testing.cell`."""

from charrnn_core.testing.cell.contract import CONTRACT
from charrnn_core.testing.cell.learning import LEARNING
from charrnn_core.testing.cell.subject import CellSubject
from charrnn_core.testing.kit import Kit
from charrnn_core.testing.registration import REGISTRATION

KIT = Kit(CellSubject, (*REGISTRATION, *CONTRACT, *LEARNING))
"""The kit for cells."""
