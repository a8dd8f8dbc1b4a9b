"""Learning-rate schedules: their values at the steps that define them."""

import math

import pytest
import torch

from eqvae.training.schedules import constant, cosine


def rates(schedule, num_steps: int, **how: float) -> list[float]:
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=2.0)
    scheduler = schedule(optimizer, num_steps, **how)
    seen = []
    for _ in range(num_steps + 1):
        seen.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return seen


def test_cosine_falls_from_the_rate_to_its_final_part() -> None:
    seen = rates(cosine, 100, final=0.1)
    assert seen[0] == 2.0
    assert seen[50] == pytest.approx(1.1)
    assert seen[100] == pytest.approx(0.2)
    assert all(a >= b for a, b in zip(seen, seen[1:], strict=False))


def test_warmup_climbs_linearly() -> None:
    seen = rates(constant, 10, warmup=0.4)
    assert seen[:5] == pytest.approx([0.4, 0.8, 1.2, 1.6, 2.0])
    assert seen[4:] == [2.0] * 7
    assert max(rates(cosine, 10, warmup=0.4)) == 2.0


@pytest.mark.parametrize("schedule", [cosine, constant])
def test_without_an_end_the_rate_stays(schedule) -> None:
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=2.0)
    scheduler = schedule(optimizer, math.inf, warmup=0.1)
    for _ in range(5):
        assert optimizer.param_groups[0]["lr"] == 2.0
        optimizer.step()
        scheduler.step()


@pytest.mark.parametrize("how", [{"final": 1.5}, {"warmup": 1.0}, {"warmup": -0.1}])
def test_fractions_are_checked(how: dict) -> None:
    with pytest.raises(ValueError, match="must lie in"):
        rates(cosine, 10, **how)
