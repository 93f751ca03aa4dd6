"""Credit that names a weights version reaches the control loop once these weights are there."""

from pathlib import Path

import numpy as np

from robot_rl.wire import protocol as p
from robot_rl.wire.mailbox import MailboxWriter
from robot_rl.wire.outbox import Outbox
from robot_rl.wire.session import IngestSession
from robot_rl.wire.spool import Spool
from robot_rl.wire.spool_segment import Life
from robot_rl.wire.weights import FlatWeights


def news(credits: int, version: int) -> p.News:
    control = p.Control(0, p.ControlKind.RUN)
    return p.News("a", 7, 0, 0, 0, credits, control, 0, version)


def test_credit_waits_for_its_weights(tmp_path: Path) -> None:
    mailbox = MailboxWriter(tmp_path, "a")
    spool = Spool(tmp_path / "spool", 1 << 20)
    outbox = Outbox(tmp_path / "spool", tmp_path, "a")
    session = IngestSession(f"ipc://{tmp_path}/nobody", "a", spool, mailbox, outbox)
    try:
        session.life, session.welcomed = Life("a", 7, 8, b""), True
        session._news(news(10, 0), 0.0)
        assert mailbox.state.credits == 10, "the warm-up: any weights, none too"
        session._news(news(30, 2), 0.0)
        assert mailbox.state.credits == 10
        for version, credits in ((1, 10), (2, 30)):
            mailbox.put_weights(FlatWeights.pack({"w": np.ones(2, np.float32)}, version))
            session._credit()
            assert mailbox.state.credits == credits, f"with weights {version}"
    finally:
        session.close()
