"""Layers that break a symmetry do what they say; that they fail stands beside the layers that don't."""

import pytest
import torch
import torch.nn.functional as F

from eqvae.testing import controls
from eqvae.testing.laws import relative_error

DOUBLE = {"dtype": torch.float64}


@pytest.mark.parametrize("mode", ["zeros", "circular"])
def test_equal_kernels_are_a_convolution(mode):
    """The one difference to a convolution is that the kernels aren't shared."""
    local = controls.LocallyConnected(2, 3, 9, 5, mode).double()
    conv = torch.nn.Conv2d(2, 3, 5, padding=2, bias=False, padding_mode=mode).double()
    x = torch.randn(2, 2, 9, 9, **DOUBLE)
    local.weight.data = conv.weight.detach().flatten(1).expand(81, 3, 50).clone()
    torch.testing.assert_close(local(x), conv(x))
    local.weight.data[40] += 1
    assert relative_error(local(x)[..., 4, 4], conv(x)[..., 4, 4]) > 0.1


def test_a_blur_of_one_width_is_isotropic():
    x = torch.randn(2, 3, 13, 13, **DOUBLE)
    for ratio, keeps in ((1.0, True), (4.0, False)):
        blur = controls.AnisotropicBlur(13, 2, ratio=ratio).double()
        found = relative_error(blur(torch.rot90(x, 1, (-2, -1))), torch.rot90(blur(x), 1, (-2, -1)))
        assert (found < 1e-12) == keeps
    constant = controls.AnisotropicBlur(33, 1, 1.5)(torch.ones(1, 1, 33, 33))
    assert abs(constant[0, 0, 16, 16] - 1) < 1e-4  # a Gaussian of 0.75 pixels, sampled


@pytest.mark.parametrize(("scale", "dilation"), [(0.3, 1), (1.0, 1), (1.4, 1), (1.5, 2), (2.0, 2)])
def test_dilation_is_by_whole_numbers(scale, dilation):
    kernel = torch.randn(2, 1, 3, 3, **DOUBLE)
    x = torch.randn(1, 1, 9, 9, **DOUBLE)
    expected = F.conv2d(x, kernel, padding=dilation, dilation=dilation)
    torch.testing.assert_close(controls.Dilation(kernel, scale)(x), expected)


def test_shapes():
    x = torch.randn(2, 1, 9, 9)
    assert controls.IndependentKernels(1, 3, orientations=8)(x).shape == (2, 24, 9, 9)
    assert controls.MaxOverChannels()(x).shape == (2, 1, 9, 9)
    assert controls.NaiveStride(2)(x).shape == (2, 1, 5, 5)
