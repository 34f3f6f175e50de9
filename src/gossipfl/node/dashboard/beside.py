"""The page of a node that runs: in its process, as long as it does."""

import logging
from dataclasses import dataclass
from pathlib import Path

from gossipfl.node.asking import observer
from gossipfl.node.dashboard.site import Site
from gossipfl.node.runtime import Node

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Page:
    """Where a node's page is, and whom it shows.

    Attributes:
        site: where it is served.
        peers: peers.yaml.
        insecure: the nodes run without TLS.
    """

    site: Site
    peers: Path
    insecure: bool = False

    async def run_beside(self, node: Node) -> None:
        """Runs the node; it tells the page of itself, the others are asked.

        Raises:
            UserError: as `Node.run`, or the port is not to be had.
        """
        from gossipfl.node.dashboard.serving import serving  # noqa: PLC0415  # an extra

        name = node.status().name
        ready = observer(self.peers, name=name, environ={}, insecure=self.insecure, local=node.status)
        async with serving(self.site, ready) as url:
            logger.info("dashboard: %s", url)
            await node.run()
