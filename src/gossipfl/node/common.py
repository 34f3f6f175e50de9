"""A running node's part in what all do together: keeps its state where a plan says so, signs it, passes papers on.

plan ──> taken? ──> durable ──> passed on ──> phase reached ──> state durable ──> statement durable ──> passed on

Papers go from neighbor to neighbor over the links there are, each once, and all of them again over a link that is new.
"""

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from numpy.typing import NDArray

from gossipfl.core.common import Gathered, Plan, Statement, Terms, belongs, gather, plan_in, statement_in
from gossipfl.core.handshake import LedgerHead
from gossipfl.core.papers import Paper, read_paper
from gossipfl.core.snapshot import Snapshot
from gossipfl.errors import MessageError
from gossipfl.net.transport import Transport
from gossipfl.node.checkpoint import Saved
from gossipfl.node.common_files import CommonFiles
from gossipfl.node.order import Noted
from gossipfl.node.vouching import Certified
from gossipfl.state import AdapterState

logger = logging.getLogger(__name__)
MOST_OPEN = 4
"""Plans that wait for their phase."""


class Common:
    """Of one node, used on its event loop.

    Args:
        terms: what it agrees to.
        certified: signs, and knows whose signature is whose.
        head: the ledger's head now.

    Attributes:
        terms: by now; peers.yaml may change them.
        closing: the plan by which this node has stopped.
    """

    def __init__(
        self, terms: Terms, files: CommonFiles, certified: Certified, head: Callable[[], LedgerHead | None]
    ) -> None:
        self.terms = terms
        self.closing: Plan | None = None
        self._files = files
        self._certified = certified
        self._head = head
        self._papers: dict[str, list[Paper]] = {}
        self._gathered: dict[str, Gathered] = {}
        self._fresh: list[tuple[Plan, Paper]] = []
        self._transport: Transport | None = None
        self._add: Callable[[Noted], None] = lambda _: None
        for _, papers in files.stored():
            self._remember(papers)

    def begin(self, transport: Transport, add: Callable[[Noted], None]) -> None:
        """Is told by what papers go, and whom to tell that some came."""
        self._transport, self._add = transport, add

    # ---- what comes ----

    def asked(self, line: bytes) -> str:
        """A plan that a member brought: why it is not followed; empty: it is."""
        try:
            return self._take(line)
        except ValueError as error:
            return str(error)

    def came(self, sender: str, line: bytes) -> MessageError | None:
        """A paper that a neighbor passed on; what is wrong with it."""
        try:
            refusal = self._take(line)
        except ValueError as error:
            return MessageError(f"{sender!r} passed on {error}", peer=sender, reason="paper")
        if refusal:
            logger.warning("a paper that %s passed on is not followed: %s", sender, refusal, extra={"peer": sender})
        return None

    def up(self, name: str) -> None:
        """A neighbor is there: it is told all papers of this branch."""
        for digest, papers in self._papers.items():
            plan = self._gathered[digest].plan
            # a stop that is over is nothing for one that was away
            if not self.terms.refusal(plan) and not (plan.stops and self._files.has_stopped(plan.key)):
                self._say(papers, to={name})

    def _take(self, line: bytes) -> str:
        """Why a paper is not followed; raises `ValueError` where it makes no sense."""
        paper = read_paper(line)
        plan = plan_in(paper, self._certified.has_signed)
        if plan is not None:
            return self._take_plan(plan, paper)
        statement = statement_in(paper, self._certified.has_signed)
        if statement is None:
            raise ValueError("a paper of an unknown kind")
        return self._take_statement(statement, paper)

    def _take_plan(self, plan: Plan, paper: Paper) -> str:
        if plan.digest in self._gathered:
            return ""
        refusal = self.terms.refusal(plan) or self._played_before(plan)
        if not refusal and len(self._open()) >= MOST_OPEN:
            refusal = f"{MOST_OPEN} others wait for their phase"
        if not refusal:
            what = "stop together" if plan.stops else "a common checkpoint"
            logger.info("%s asks for %s after phase %d (%s)", plan.asked_by, what, plan.phase, plan.key)
            self._gathered[plan.digest] = Gathered(plan, {})
            self._note(plan, paper)
        return refusal

    def _played_before(self, plan: Plan) -> str:
        """Phases rise: so that an old plan, a stop above all, cannot be brought again once it is forgotten here."""
        done = [each.plan.phase for each in self._gathered.values() if self._is_done(each)]
        last = max(done, default=0)
        return (
            "" if plan.phase > last else f"phase {plan.phase}: {self.terms.name!r} has signed for phase {last} already"
        )

    def _is_done(self, gathered: Gathered) -> bool:
        return self.terms.name in gathered.statements and gathered.plan.branch == self.terms.branch

    def _take_statement(self, statement: Statement, paper: Paper) -> str:
        gathered = self._gathered.get(statement.plan)
        if gathered is None or not belongs(statement, gathered.plan):
            return f"a statement of {statement.node!r} for a plan that this node does not follow"
        if statement.node in gathered.statements:
            same = gathered.statements[statement.node] == statement
            return "" if same else f"{statement.node!r} states two things for {gathered.plan.key}; the first one counts"
        self._add_statement(gathered, statement, paper)
        return ""

    def _add_statement(self, gathered: Gathered, statement: Statement, paper: Paper) -> None:
        plan = gathered.plan
        now = Gathered(plan, {**gathered.statements, statement.node: statement})
        self._gathered[plan.digest] = now
        if now.whole:
            logger.info("the common checkpoint %s is whole: signed by all %d nodes", plan.key, len(plan.nodes))
        self._note(plan, paper)

    def _note(self, plan: Plan, paper: Paper) -> None:
        self._papers.setdefault(plan.digest, []).append(paper)
        self._fresh.append((plan, paper))
        self._add(Noted())

    # ---- what is done ----

    def forbids(self, snapshot: Snapshot[AdapterState]) -> bool:
        """Whether no further phase may be trained."""
        return self.closing is not None or any(plan.stops for plan in self._due(snapshot))

    @property
    def over(self) -> bool:
        """Whether this node has stopped, and all others have stated."""
        return self.closing is not None and not self._fresh and self._gathered[self.closing.digest].whole

    @property
    def missing(self) -> tuple[str, ...]:
        """Who has not stated what it keeps, of the plan by which this node has stopped."""
        return () if self.closing is None else self._gathered[self.closing.digest].missing

    async def ended(self) -> None:
        """Notes that the node ends by the plan by which it has stopped."""
        if self.closing is not None:
            await asyncio.to_thread(self._files.mark_stopped, self.closing.key)

    async def look(self, snapshot: Snapshot[AdapterState], moments: Mapping[str, NDArray[Any]]) -> None:
        """Keeps, signs and passes on what is due; a plan that stops the node is `closing` from then on.

        Raises:
            StateError: it cannot be made durable.
        """
        for plan in self._due(snapshot):
            await self._keep(plan, Saved(snapshot, moments, self.terms.branch))
        while self._fresh:
            plan, paper = self._fresh[0]
            await asyncio.to_thread(self._files.write, plan, tuple(self._papers[plan.digest]))
            self._fresh.pop(0)
            self._say([paper])
            self._forget()

    def _forget(self) -> None:
        """What no file holds any more."""
        kept = {*self._files.keys(), *(plan.key for plan, _ in self._fresh)}
        for digest, gathered in [*self._gathered.items()]:
            if self._is_done(gathered) and gathered.plan.key not in kept:
                del self._gathered[digest], self._papers[digest]

    async def _keep(self, plan: Plan, saved: Saved) -> None:
        await asyncio.to_thread(self._files.write, plan, tuple(self._papers[plan.digest]))
        digest = await asyncio.to_thread(self._files.keep, plan, saved)
        snapshot, head = saved.snapshot, self._head()
        statement = Statement(
            plan=plan.digest,
            federation=plan.federation,
            node=self.terms.name,
            phase=snapshot.phase,
            step=snapshot.step,
            state=snapshot.state.sharing().digest(),
            checkpoint=digest,
            charges=head.charges if head else 0,
            head=head.hash if head else "",
        )
        logger.info("%s: kept and signed at phase %d, step %d", plan.key, snapshot.phase, snapshot.step)
        if plan.stops:
            self.closing = plan
        self._add_statement(self._gathered[plan.digest], statement, self._certified.paper(statement.text))

    def _due(self, snapshot: Snapshot[AdapterState]) -> list[Plan]:
        phase, round_, exhausted = snapshot.phase, snapshot.round, snapshot.exhausted
        reached = self.terms.has_reached
        return [plan for plan in self._open() if reached(plan, phase=phase, round=round_, exhausted=exhausted)]

    def _open(self) -> list[Plan]:
        """Plans of this branch for which this node has not stated yet."""
        waiting = [each.plan for each in self._gathered.values() if self.terms.name not in each.statements]
        return [plan for plan in waiting if not self.terms.refusal(plan)]

    def _say(self, papers: Iterable[Paper], *, to: set[str] | None = None) -> None:
        if self._transport is not None:
            for paper in papers:
                self._transport.say(paper.line, to=to)

    def _remember(self, papers: list[Paper]) -> None:
        """What an earlier life has made durable."""
        try:
            gathered, refused = gather(papers, self._certified.has_written)
        except ValueError as error:
            logger.warning("a common checkpoint is left out: %s", error)
            return
        for who, why in refused.items():
            logger.warning("%s: %s does not count: %s", gathered.plan.key, who, why)
        plan = gathered.plan
        self._papers[plan.digest], self._gathered[plan.digest] = papers, gathered
        stated = self.terms.name in gathered.statements and not self.terms.refusal(plan)
        if plan.stops and stated and not self._files.has_stopped(plan.key):
            # killed between its word and its end
            self.closing = plan
