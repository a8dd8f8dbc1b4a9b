"""Any function as a black box: rows in, rows out, whatever it is written in.

Three things are found out by trying, with the first rows of the data:

    its language   a module gets tensors of its own type; anything else gets what the data are, NumPy arrays
                   or tensors, and if it raises, the other
    batched        whether f of two rows is two rows, the first of which is f of the first row alone; if not,
                   it is called row by row
    its noise      several calls with the same rows; what differs is noise
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

Function = Callable[[Any], Any]
_UNSTEADY = (nn.modules.batchnorm._BatchNorm, nn.modules.dropout._DropoutNd)
_LARGEST_NOISE = 0.5  # of the outputs' spread


@dataclass(frozen=True)
class BlackBox:
    """A function of rows, called with float64 rows (N, ...) and answering with float64 rows (N, ...).

    Args:
        f: a torch module, or a function of tensors or of NumPy arrays.
        data: inputs, (N, ...), tensor or array.

    Raises:
        ValueError: if the data are not finite or fewer than 2, f fails on them, or f is a module in training
            mode with layers that behave otherwise then.
    """

    f: Function
    data: Any

    def __post_init__(self) -> None:
        if len(self.x) < 2:
            raise ValueError(f"data must hold at least 2 inputs; got {len(self.x)}.")
        if not bool(torch.isfinite(self.x).all()):
            raise ValueError(
                "data must be finite; they hold NaN or infinity. Leave those rows out."
            )
        if isinstance(self.f, nn.Module) and any(
            module.training and isinstance(module, _UNSTEADY) for module in self.f.modules()
        ):
            raise ValueError(
                "f must be in eval mode, as it holds dropout or batch normalisation; call f.eval()."
            )

    @cached_property
    def x(self) -> Tensor:
        """The inputs as float64 rows."""
        return (
            torch.as_tensor(np.asarray(self.data)).double()
            if not torch.is_tensor(self.data)
            else self.data.detach().double().cpu()
        )

    @cached_property
    def language(self) -> Callable[[Tensor], Any]:
        """Turns float64 rows into what f takes."""
        return self._found[0]

    @property
    def is_batched(self) -> bool:
        """Whether f takes all rows at once."""
        return self._found[1]

    @cached_property
    def _found(self) -> tuple[Callable[[Tensor], Any], bool]:
        problems: list[Exception] = []
        for language in self._languages():
            for batched in (True, False):
                try:
                    if batched and self._maps_rows(language):
                        return language, True
                    if not batched:
                        _plain(self.f(language(self.x[0])))
                        return language, False
                except Exception as problem:  # whatever a stranger's function raises
                    problems.append(problem)
        raise ValueError(
            f"f must map rows of data to rows, all at once without mixing them, or one by one; it says: "
            f"{problems[0]}"
        ) from problems[0]

    def _languages(self) -> list[Callable[[Tensor], Any]]:
        if isinstance(self.f, nn.Module):
            like = next(self.f.parameters(), next(self.f.buffers(), self.x))
            return [lambda x: x.to(like) if like.is_floating_point() else x]
        own = (
            self.data.dtype
            if torch.is_tensor(self.data)
            else torch.as_tensor(np.asarray(self.data)).dtype
        )
        own = own if own.is_floating_point else torch.float64
        both = [lambda x: x.to(own), lambda x: x.to(own).numpy()]
        return both if torch.is_tensor(self.data) else both[::-1]

    @torch.no_grad()
    def _maps_rows(self, language: Callable[[Tensor], Any]) -> bool:
        """Whether f of rows is the rows of f; a noisy f is judged by its shapes."""
        two, again, one = (_plain(self.f(language(self.x[:n]))) for n in (2, 2, 1))
        shapes = two.shape[:1] == (2,) and one.shape[:1] == (1,) and two.shape[1:] == one.shape[1:]
        if not shapes:
            return False
        scale = 1e-3 * two.abs().max() + 1e-12
        return bool((two - again).abs().max() > 1e-9 * scale) or bool(
            (two[:1] - one).abs().max() <= scale
        )

    @torch.no_grad()
    def __call__(self, x: Tensor) -> Tensor:
        """f of rows.

        Raises:
            ValueError: if outputs are not finite, or change their size.
        """
        if self.is_batched:
            y = _plain(self.f(self.language(x)))
            sizes = {tuple(y.shape[1:])} if len(y) == len(x) else {(len(y),), (len(x),)}
        else:
            rows = [_plain(self.f(self.language(row))) for row in x]
            sizes = {tuple(row.shape) for row in rows}
            y = torch.stack(rows) if len(sizes) == 1 else x
        sizes |= {self.__dict__.setdefault("_size", next(iter(sizes)))}
        if len(sizes) > 1:
            raise ValueError(
                f"f must give outputs of one size; got sizes {sorted(sizes)[:3]} for different inputs."
            )
        if not bool(torch.isfinite(y).all()):
            raise ValueError(
                "f must give finite outputs; it gives NaN or infinity for some inputs. Leave those out."
            )
        return y if y.dim() > 1 else y[:, None]

    def repeated(self) -> tuple[Tensor, Tensor]:
        """f of the data, and rows whose mean square is that of its noise.

        A second call shows whether there is any; if so, two more make its estimate better.

        Raises:
            ValueError: if all outputs are the same, or noise is most of what they are.
        """
        y = self(self.x)
        calls = [y, self(self.x)]
        noisy = not torch.equal(*calls)
        if noisy:
            calls += [self(self.x), self(self.x)]
        many = torch.stack(calls)
        noise = (many - many.mean(0)).flatten(0, 1) * (len(many) / (len(many) - 1)) ** 0.5
        spread, own = (part.square().mean(0).sum().sqrt().item() for part in (y - y.mean(0), noise))
        if spread <= 1e-12 * max(1.0, y.abs().max().item()) and not noisy:
            raise ValueError(
                "f must give outputs that differ between inputs; all of them are the same, which fits any "
                "representation that holds an invariant vector. Give other data."
            )
        if own > _LARGEST_NOISE * spread:
            raise ValueError(
                f"f must answer twice alike; calls with the same inputs differ by {own / spread:.0%} of the "
                f"outputs' spread. Fix its seed, or average calls."
            )
        return y, noise


def _plain(y: Any) -> Tensor:
    """An output as a float64 tensor."""
    y = getattr(y, "tensor", y) if not torch.is_tensor(y) and not isinstance(y, np.ndarray) else y
    if isinstance(y, list | tuple):
        y = [part.detach().cpu().numpy() if torch.is_tensor(part) else part for part in y]
    return (
        y.detach().double().cpu()
        if torch.is_tensor(y)
        else torch.as_tensor(np.asarray(y, dtype=np.float64))
    )
