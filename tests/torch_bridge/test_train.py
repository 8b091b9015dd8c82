"""Fine-tuning: it goes on where it stopped, and ends with its budget."""

from io import StringIO

import pytest
from rich.console import Console

torch = pytest.importorskip("torch", reason="needs PyTorch: pip install 'hwsim[torch]'")
from torch import nn  # noqa: E402

from hwsim.reports import terminal  # noqa: E402
from hwsim.torch_bridge import Config, Plan, fine_tune, prepare  # noqa: E402


def module():
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(6, 12), nn.ReLU(), nn.Linear(12, 12), nn.ReLU(), nn.Linear(12, 3))
    return prepare(net, Config(4, 4, weights_by="lcq", activations_by="lcq"))


def batch(step):
    generator = torch.Generator().manual_seed(step)
    x = torch.randn(32, 6, generator=generator)
    return x, x[:, :3].argmax(1), None


class StoppedError(Exception):
    """Raised in the middle of training."""


def test_a_stopped_training_goes_on(tmp_path):
    plan = Plan(steps=35, rate=0.1)
    whole = fine_tune(module(), batch, plan)

    def stop(share, loss):
        if share > 0.7:
            raise StoppedError

    with pytest.raises(StoppedError):
        fine_tune(module(), batch, plan, checkpoint=tmp_path / "run.pt", progress=stop)
    heard = []
    losses = fine_tune(
        module(), batch, plan, checkpoint=tmp_path / "run.pt", progress=lambda share, loss: heard.append((share, loss))
    )
    assert losses == whole
    assert heard == [((step + 1) / 35, whole[step]) for step in range(20, 35)]
    assert fine_tune(module(), batch, plan, checkpoint=tmp_path / "run.pt") == whole


def test_a_plan_in_minutes_ends_with_them(tmp_path, monkeypatch):
    ticks = iter(range(1000))
    monkeypatch.setattr("hwsim.torch_bridge.train.process_time", lambda: float(next(ticks)))  # a second for every look
    plan, heard = Plan(minutes=0.5, rate=0.1), []
    losses = fine_tune(module(), batch, plan, checkpoint=tmp_path / "run.pt", progress=lambda *now: heard.append(now))
    assert len(losses) == 30
    assert [share for share, _ in heard] == pytest.approx([(step + 1) / 30 for step in range(30)])
    assert fine_tune(module(), batch, plan, checkpoint=tmp_path / "run.pt") == losses


def test_the_bar_shows_the_loss(monkeypatch):
    text = StringIO()
    monkeypatch.setattr(terminal, "err", Console(file=text, force_terminal=True, width=120))
    monkeypatch.setattr(terminal.sys.stderr, "isatty", lambda: True, raising=False)
    with terminal.loss_bar("training") as bar:
        bar(0.5, 1.25)
    assert "training, loss 1.250" in text.getvalue()
