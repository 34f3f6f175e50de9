"""What can be done to running nodes, by name; a new fault is one function and one line here."""

from collections.abc import Mapping

from gossipfl.studies.drill.faults import machines, network, strangers
from gossipfl.studies.drill.faults.fault import Fault

FAULTS: Mapping[str, Fault] = {
    fault.name: fault
    for fault in (
        machines.KILL,
        machines.STOP,
        network.PARTITION,
        network.LOSS,
        network.LATENCY,
        network.BANDWIDTH,
        network.HALF_OPEN,
        machines.CLOCK,
        machines.DISK,
        strangers.CERTIFICATE,
        strangers.GARBAGE,
        machines.RESTART,
    )
}
"""In the order in which they are drilled."""
